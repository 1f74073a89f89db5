"""The OpenAPI document of a running server, and what a generator of requests makes of it.

The generator (schemathesis) is asked for one thing only: that nothing it thinks of makes the
server fail. Which call answers what has its own tests.
"""

import asyncio
import re
import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from support.wire import ask, values
from thingstead.routes import all_routes
from thingstead.settings import Settings
from thingstead.transports.http.router import Access
from thingstead.transports.http.v2.firmware import FIRMWARES

with warnings.catch_warnings():
    # Its own dependencies warn when they are imported.
    warnings.simplefilter("ignore")
    import schemathesis

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = 25
# They end the session or the account that the other calls need; test_isolation.py makes them.
ENDING = {("DELETE", "/v2/me"), ("PUT", "/v2/me"), ("DELETE", "/v2/me/sessions/{session_id}")}
_TEMPLATE = re.compile(r"\{(\w+)\}")


@pytest.fixture
def routes(server):
    return all_routes(Settings(), server.platform)


async def document_of(server):
    got = await ask(server.address, "GET", "/openapi.json")
    assert (got.status, got.get("Content-Type")) == (200, "application/json")
    return got.json


async def test_the_document_names_every_route(server, routes):
    document = await document_of(server)

    named = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }

    assert named == {(route.method, route.pattern) for route in routes}


async def test_the_document_is_valid(server):
    schema = schemathesis.openapi.from_dict(await document_of(server))

    schema.validate()


async def test_every_operation_that_stores_may_find_the_disk_full(server, routes):
    storing = [
        route
        for route in routes
        # What Socket.IO is sent asks for values, and tickets are kept in memory only.
        if route.method in {"POST", "PUT", "DELETE"}
        and route.pattern not in {"/socket.io/", "/v2/me/tickets"}
    ]

    assert storing
    assert [r.pattern for r in storing if r.handler and 507 not in r.statuses] == []


async def test_an_answer_without_a_body_has_no_example(server):
    latest = (await document_of(server))["paths"][f"{FIRMWARES}/latest"]["get"]

    assert "content" in latest["responses"]["200"]
    assert "content" not in latest["responses"]["304"]


async def test_calls_of_agents_name_the_token_that_they_need(server, routes):
    document = await document_of(server)

    agents = [route for route in routes if route.access is Access.TARGET_TOKEN]

    assert agents
    for route in agents:
        operation = document["paths"][route.pattern][route.method.lower()]
        assert operation["security"] == [{"targetToken": []}]
        assert ("requestBody" in operation) == (route.method in {"POST", "PUT"})


async def test_every_operation_says_what_it_takes(server, routes):
    document = await document_of(server)

    ids = []
    for route in routes:
        operation = document["paths"][route.pattern][route.method.lower()]
        ids.append(operation["operationId"])
        in_path = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert in_path == set(_TEMPLATE.findall(route.pattern))
        assert ("x-stream" in operation) == (route.stream is not None)
    assert len(set(ids)) == len(ids)


def without_streams(document):
    """The document without what would never end or would end the session."""
    for path, operations in list(document["paths"].items()):
        for method, operation in list(operations.items()):
            if operation.get("x-stream") == "always" or (method.upper(), path) in ENDING:
                del operations[method]
                continue
            operation["parameters"] = [
                one for one in operation.get("parameters", ()) if one["name"] != "subscribe"
            ]
        if not operations:
            del document["paths"][path]
    return document


def operations_of(document):
    schema = schemathesis.openapi.from_dict(document)
    return [found.ok() for found in schema.get_all_operations()]


# Drawing its first case, the generator now and then sees `random` used by somebody else.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
async def test_nothing_that_is_generated_makes_the_server_fail(server, ada, thing):
    await ada.link(thing)
    await ask(server.address, "POST", f"/v2/things/{thing.token}", values(("temperature", 20)))
    arguments = {
        "thing_token": thing.token,
        "thing_id": thing.thing.id,
        "resource": "temperature",
        "key": "temperature",
        "collection": "rooms",
        "app_id": ada.app,
        "product_id": str(server.product.id),
        "product_hash": server.product.hash,
    }
    document = without_streams(await document_of(server))
    base = f"http://{server.address.host}:{server.address.port}"

    def run():
        tried = {}
        for operation in operations_of(document):
            tried[operation.label] = statuses_of(operation, base, arguments, ada.token)
        return tried

    tried = await asyncio.to_thread(run)

    assert len(tried) == sum(len(operations) for operations in document["paths"].values())
    failed = {label: found for label, found in tried.items() if max(found) >= 500}
    assert failed == {}
    # The keys fit: otherwise nothing beyond them would have been tried.
    refused = {label for label, found in tried.items() if found == {401}}
    assert refused <= {"POST /v2/login"}


def statuses_of(operation, base, arguments, token):
    """Make the examples of one operation; return the statuses that came."""
    found = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy())
    def make(case):
        for name in set(case.path_parameters or {}) & set(arguments):
            case.path_parameters[name] = arguments[name]
        case.query.pop("subscribe", None)
        case.headers["Authorization"] = token
        found.add(case.call(base_url=base, timeout=20).status_code)

    make()
    return found
