"""The rules of devices: who may send for a product, and which thing a device id means.

The hash of a product is a secret that stands in addresses and datagrams. An unknown product
and a wrong hash are answered alike, and both cost their sender budget (`kernel/guesses.py`).
What was found lately is remembered (`kernel/known_tokens.py`). A new device id uses an
activation code up where the product allows it, which bounds what a leaked hash can do.
"""

import hmac

from thingstead.features.devices.decoding import parse_decoder
from thingstead.features.devices.errors import (
    InsufficientActivationCodesError,
    InvalidDeviceIdError,
    InvalidProductHashError,
)
from thingstead.features.devices.model import (
    MAX_DEVICE_ID_CHARACTERS,
    Device,
    DeviceId,
    DeviceProduct,
)
from thingstead.features.devices.ports import DeviceStore
from thingstead.features.magic.service import Magic
from thingstead.features.products.model import Product
from thingstead.features.products.ports import ProductStore
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import SealedToken, Thing
from thingstead.features.things.ports import Seal
from thingstead.features.things.service import Things
from thingstead.features.values.model import IncomingValue, IncomingWrite
from thingstead.features.values.service import Values
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import IdSource, ProductId, ThingId, digest
from thingstead.kernel.known_tokens import Found, KnownTokens, TokenLimits
from thingstead.kernel.names import name_problem

NAME = "$settings.name"
_MAX_PRODUCT_DIGITS = 15
# As long as a real one, so that comparing takes as long.
_NO_HASH = "-" * 14


class DeviceThings:
    """Makes things for devices and names them; what `Devices` needs of other features."""

    def __init__(
        self, things: Things, values: Values, magic: Magic, *, seal: Seal, ids: IdSource
    ) -> None:
        self._things = things
        self._values = values
        self._magic = magic
        self._seal = seal
        self._ids = ids

    async def get(self, thing_id: ThingId) -> Thing:
        """Return the thing; raises `ThingNotFoundError` when there is none."""
        return await self._things.get(thing_id)

    def new_secrets(self) -> tuple[ThingId, SealedToken]:
        """Return the id and the token of a thing to be made; its owner can see the token."""
        token = self._ids.token()
        return ThingId(self._ids.token()), SealedToken(digest(token), self._seal.close(token))

    async def name(self, thing: Thing, name: str) -> None:
        """Give the thing that name, durably, unless it has one."""
        if await self._magic.read(thing, NAME) is None:
            await self._values.submit(thing, IncomingWrite([IncomingValue(NAME, name)]))

    def open(self, sealed: bytes) -> str:
        """Return a secret of a product."""
        return self._seal.open(sealed)


class Devices:
    """Finds the product that a message comes for, and the thing that a device id means."""

    def __init__(
        self,
        store: DeviceStore,
        products: ProductStore,
        things: DeviceThings,
        changes: Changes,
        *,
        clock: Clock,
        limits: TokenLimits,
    ) -> None:
        self._store = store
        self._products = products
        self._things = things
        self._changes = changes
        self._clock = clock
        self._known_products: KnownTokens[DeviceProduct] = KnownTokens(
            "wrong product hashes", clock, limits
        )
        self._known_things: KnownTokens[Thing] = KnownTokens("unknown devices", clock, limits)
        changes.listen(Kind.PRODUCT, self._known_products.forget)
        changes.listen(Kind.THING, self._known_things.forget)

    async def product(self, product_id: str, product_hash: str, *, address: str) -> DeviceProduct:
        """Return the product that has this id and hash.

        `address` pays for wrong ones.

        Raises:
            InvalidProductHashError: there is none; unknown and wrong are answered alike.
            TooManyRequestsError: too many wrong ones came from this address.
        """
        self._changes.look()
        key = f"{product_id}/{product_hash}"
        known = self._known_products.get(key)
        if known is not None:
            return known
        number = _product_number(product_id)
        return await self._known_products.find(
            key,
            None if number is None else lambda: self._with_hash(number, product_hash),
            address=address,
            refusal=InvalidProductHashError,
        )

    async def product_of(self, thing: Thing) -> DeviceProduct:
        """Return the product of a thing whose token was presented.

        Raises:
            InvalidProductHashError: the product is gone.
        """
        self._changes.look()
        # No id and hash of a caller look like this.
        key = f"{thing.product_id}"
        known = self._known_products.get(key)
        if known is not None:
            return known
        return await self._known_products.find(
            key,
            lambda: self._by_number(thing.product_id),
            address=None,
            refusal=InvalidProductHashError,
        )

    async def thing(self, product: DeviceProduct, device_id: str) -> Thing:
        """Return the thing of a device, made of an activation code if that is allowed.

        A new thing bears the device id as its name. Concurrent first messages make one thing.

        Raises:
            InvalidDeviceIdError: it is empty, too long, or has control characters.
            ThingNotFoundError: the id is unknown, and the product makes no things by itself.
            InsufficientActivationCodesError: it does, and no code is left.
        """
        problem = name_problem(device_id, MAX_DEVICE_ID_CHARACTERS)
        if problem is not None:
            raise InvalidDeviceIdError(problem)
        self._changes.look()
        key = f"{product.product.id}/{device_id}"
        known = self._known_things.get(key)
        if known is not None:
            return known
        return await self._known_things.find(
            key,
            lambda: self._found_or_made(product.product, DeviceId(device_id)),
            address=None,
            refusal=ThingNotFoundError,
        )

    async def thing_of(
        self, product_id: str, product_hash: str, device_id: str, *, address: str
    ) -> Thing:
        """Return the thing of a device of the product with this id and hash.

        Raises what `product` and `thing` do.
        """
        product = await self.product(product_id, product_hash, address=address)
        return await self.thing(product, device_id)

    async def _with_hash(
        self, product_id: ProductId, product_hash: str
    ) -> Found[DeviceProduct] | None:
        product = await self._products.product(product_id)
        right = _NO_HASH if product is None else product.hash
        is_right = hmac.compare_digest(_bytes(right), _bytes(product_hash))
        return self._found(product) if product is not None and is_right else None

    async def _by_number(self, product_id: ProductId) -> Found[DeviceProduct] | None:
        product = await self._products.product(product_id)
        return None if product is None else self._found(product)

    def _found(self, product: Product) -> Found[DeviceProduct]:
        decoder = None if product.decoder is None else parse_decoder(product.decoder)
        key = product.sealed_udp_key
        udp_key = None if key is None else self._things.open(key).encode("ascii")
        return Found(DeviceProduct(product, decoder, udp_key), str(product.id), None)

    async def _found_or_made(self, product: Product, device_id: DeviceId) -> Found[Thing] | None:
        device = await self._store.device(product.id, device_id)
        if device is None:
            if not product.is_automatic:
                return None
            device = await self._made(product.id, device_id)
        thing = await self._things.get(device.thing_id)
        if not device.is_named:
            # Names are kept in another file than things: whoever finds a thing that was not
            # named before a crash, or while that file took no writes, names it now.
            await self._things.name(thing, device_id)
            await self._store.note_named(product.id, device_id, at_ms=self._clock.now_ms())
        return Found(thing, thing.id, None)

    async def _made(self, product_id: ProductId, device_id: DeviceId) -> Device:
        thing_id, token = self._things.new_secrets()
        device = await self._store.activate_device(
            product_id, device_id, thing_id=thing_id, token=token, at_ms=self._clock.now_ms()
        )
        if device is None:
            raise InsufficientActivationCodesError
        return device


def _product_number(text: str) -> ProductId | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_PRODUCT_DIGITS
    return ProductId(int(text)) if is_number else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
