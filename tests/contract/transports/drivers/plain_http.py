"""Writes and reads over plain HTTP, and what providers call on behalf of a thing."""

from contextlib import AsyncExitStack

from contract.transports.driver import BY_HTTP_STATUS, Kind, Refused
from support.in_process import Served
from support.wire import Answer, Wire, compact, connect


def refused(answer: Answer) -> Refused:
    kind = BY_HTTP_STATUS.get(answer.status, Kind.SOMEHOW)
    return Refused(kind, answer.json["message"], answer.head + answer.body)


class HTTPDriver:
    def __init__(self, served: Served, token: str, stack: AsyncExitStack) -> None:
        self._served = served
        self._token = token
        self._stack = stack
        self._wire: Wire | None = None

    async def _ask(self, method, target, body=None):
        if self._wire is None:
            self._wire = await self._stack.enter_async_context(connect(self._served.address))
        return await self._wire.ask(method, target, body)

    async def write(self, values, *, is_broadcast=True):
        query = "" if is_broadcast else "?broadcast=false"
        body = compact({"values": values})
        answer = await self._ask("POST", f"/v2/things/{self._token}{query}", body)
        return None if answer.status == 201 else refused(answer)

    async def read(self, key, limit):
        target = f"/v2/things/{self._token}/resources/{key}?limit={limit}"
        answer = await self._ask("GET", target)
        return answer.body if answer.status == 200 else refused(answer)


class CallbackDriver(HTTPDriver):
    """A server that names the thing by its token."""

    async def write(self, values, *, is_broadcast=True):
        product = self._served.product
        body = compact({"thingToken": self._token, "values": values})
        answer = await self._ask("POST", f"/http/{product.id}/{product.hash}", body)
        # 200 says that there was nothing to store (docs/callbacks.md).
        return None if answer.status in (200, 201) else refused(answer)
