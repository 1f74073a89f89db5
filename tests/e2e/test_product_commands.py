"""`product show` and `product change` beside a running server, which follows at once."""

import pytest

from support.process import run, server_process
from support.wire import ask


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with server_process(tmp_path_factory.mktemp("server") / "folder") as running:
        yield running
        assert running.stop() == 0, running.logged()
        assert "Traceback" not in running.logged()


@pytest.fixture
def product(server):
    """What `product create` told, made beside the server."""
    return server.command("product", "create", "Greenhouse")


def told(server, *words):
    """What a command beside the server told: its exit code, and both its outputs."""
    done = run(*words[:2], "--data", str(server.folder), *words[2:], env=server.settings)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def change(server, product, *words):
    return server.command("product", "change", str(product["id"]), *words)


async def sent(server, product, device="4D9F7C", product_hash=None, data="1713ff"):
    path = f"/sgfx/{product['id']}/{product_hash or product['hash']}"
    return (await ask(server.address, "GET", f"{path}?id={device}&data={data}")).status


def test_creating_tells_id_name_and_hash_and_nothing_else(product):
    assert product.keys() == {"id", "name", "hash"}


def test_a_product_is_listed_and_shown_with_what_was_set(server, product):
    settings = {
        "automaticActivation": False,
        "format": None,
        "decoder": None,
        "hasUdpKey": False,
    }

    [listed] = [one for one in server.command("product", "list") if one["id"] == product["id"]]

    assert listed == {**product, **settings}
    shown = server.command("product", "show", str(product["id"]))
    assert shown == {**product, **settings, "udpKey": None}


def test_everything_can_be_changed_at_once(server, product):
    changed = change(
        server,
        product,
        *("--automatic-activation", "on", "--format", "Sigfox", "--decoder", "t::int:8"),
        *("--new-hash", "--new-udp-key"),
    )

    assert changed == server.command("product", "show", str(product["id"]))
    assert changed["hash"] != product["hash"]
    assert len(changed["udpKey"]) == 43
    assert {name: changed[name] for name in ("automaticActivation", "format", "decoder")} == {
        "automaticActivation": True,
        "format": "Sigfox",
        "decoder": "t::int:8",
    }


def test_what_was_set_can_be_taken_away(server, product):
    words = ("--format", "Sigfox", "--decoder", "t::int:8", "--new-udp-key")
    change(server, product, "--automatic-activation", "on", *words)

    changed = change(
        server,
        product,
        *("--automatic-activation", "off", "--format", "", "--no-decoder", "--no-udp-key"),
    )

    assert changed == {
        **product,
        "automaticActivation": False,
        "format": None,
        "decoder": None,
        "hasUdpKey": False,
        "udpKey": None,
    }


async def test_a_running_server_follows_each_change_at_once(server, product):
    server.command("codes", "create", "--product", str(product["id"]), "--count", "1")
    assert await sent(server, product) == 404

    change(server, product, "--automatic-activation", "on", "--decoder", "a::uint:16 t::int:8")
    assert await sent(server, product) == 201
    assert await sent(server, product, "another") == 403

    changed = change(server, product, "--new-hash")
    assert await sent(server, product) == 404
    assert await sent(server, product, product_hash=changed["hash"]) == 201
    [thing] = server.command("thing", "list", "--product", str(product["id"]))
    read = await ask(server.address, "GET", f"/v2/things/{thing['token']}/resources/t")
    assert read.json[0]["value"] == -1


async def test_deleting_a_thing_beside_the_server_frees_its_device_id(server, product):
    server.command("codes", "create", "--product", str(product["id"]), "--count", "2")
    change(server, product, "--automatic-activation", "on")
    assert await sent(server, product) == 201
    [thing] = server.command("thing", "list", "--product", str(product["id"]))

    server.command("thing", "delete", thing["id"], "--yes")

    assert await sent(server, product) == 201
    [another] = server.command("thing", "list", "--product", str(product["id"]))
    assert another["id"] != thing["id"]


async def test_the_hash_is_in_no_line_of_the_log(server, product):
    await sent(server, product)
    await sent(server, product, product_hash="W" * 14)

    assert product["hash"] not in server.logged()
    assert "W" * 14 not in server.logged()


def test_people_are_told_line_by_line(server, product):
    code, out, _ = told(server, "product", "show", str(product["id"]))

    assert (code, out.splitlines()) == (
        0,
        [
            f"Product: {product['id']} (Greenhouse)",
            f"Hash: {product['hash']}",
            "Automatic activation: off",
            "Format: -",
            "Decoder: -",
            "UDP key: -",
        ],
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("show", "99999"), "Product not found"),
        (("change", "99999", "--new-hash"), "Product not found"),
        (("change", "@", "--decoder", "t::int:99"), "'t::int:99': the number of bits"),
        (("change", "@", "--decoder", " "), "names no field"),
        (("change", "@", "--format", "x" * 101), "format: must not be longer"),
    ],
    ids=str,
)
def test_what_is_refused_is_one_line_and_ends_with_1(server, product, words, reason):
    filled = [str(product["id"]) if word == "@" else word for word in words]

    code, out, error = told(server, "product", *filled)

    assert (code, out, error.count("\n")) == (1, "", 1)
    assert reason in error


@pytest.mark.parametrize(
    "words",
    [
        ("change", "10001"),
        ("change", "10001", "--decoder", "t::int:8", "--no-decoder"),
        ("change", "10001", "--new-udp-key", "--no-udp-key"),
        ("change", "10001", "--automatic-activation", "maybe"),
        ("change", "x", "--new-hash"),
    ],
    ids=str,
)
def test_options_that_contradict_each_other_or_say_nothing_end_with_2(server, words):
    code, out, error = told(server, "product", *words)

    assert (code, out) == (2, "")
    assert "Error" in error
