"""aiocoap's token layer, kinder to clients that send everything under one token.

The library takes a second request with a token for the end of the first, and drops that. Small
devices send all they have under the empty token, one write after the other; each of those has to
be stored and answered. Only an observation ends when its token comes again, with a GET
(RFC 7641, 3.6 and 4.1).
"""

from collections.abc import Callable, Hashable

from aiocoap.numbers.codes import Code
from aiocoap.pipe import Pipe
from aiocoap.tokenmanager import TokenManager

from thingstead.transports.coap.addresses import PeerAddress
from thingstead.transports.coap.datagrams import Datagram, Number
from thingstead.transports.coap.exchanges import Exchanges, ReceivedMessage

_SUBSCRIBE = 0
_BLOCK_NUMBER_BIT = 4


class Tokens(TokenManager):
    """Gives each request a pipe for its answers."""

    token_interface: Exchanges

    def process_request(self, request: ReceivedMessage) -> None:
        """Have the request answered."""
        observation = (request.token, request.remote)
        if request.code is Code.GET and not _is_later_block(request.datagram):
            _, stop = self.incoming_requests.get(observation, (None, None))
            if stop is not None:
                stop()
        is_observation = is_subscribing(request.datagram)
        # Two parts, because the library looks for all requests of one peer by the second.
        other = ((request.token, request.mid), request.remote)
        self._open(request, observation if is_observation else other)

    def _open(self, request: ReceivedMessage, key: tuple[Hashable, PeerAddress]) -> None:
        pipe = Pipe(request, self.log)

        def pass_on(event: Pipe.Event) -> bool:
            message = event.message
            message.token = request.token
            message.remote = request.remote
            message.request = request
            self.token_interface.send_message(message, stop)
            return not event.is_last

        stop: Callable[[], None] = pipe.on_event(pass_on)
        pipe.on_interest_end(lambda: self.incoming_requests.pop(key, None))
        self.incoming_requests[key] = (pipe, stop)
        self.context.render_to_pipe(pipe)


def is_subscribing(datagram: Datagram) -> bool:
    """Return whether a request opens an observation, or would like to."""
    if datagram.code != Code.GET or _is_later_block(datagram):
        return False
    return any(
        number is Number.OBSERVE and int.from_bytes(value, "big") == _SUBSCRIBE
        for number, value in datagram.options
    )


def _is_later_block(datagram: Datagram) -> bool:
    """Return whether a request fetches a further block of what it knows the beginning of."""
    return any(
        number is Number.BLOCK2 and int.from_bytes(value, "big") >> _BLOCK_NUMBER_BIT > 0
        for number, value in datagram.options
    )
