"""What the first start in an empty data folder makes, so that a stranger can write at once."""

from dataclasses import dataclass

from thingstead.bootstrap import Platform
from thingstead.features.things.model import NewThing
from thingstead.features.values.model import IncomingValue, IncomingWrite
from thingstead.kernel.ids import ActivationCode

_PRODUCT_NAME = "My first product"
_THING_NAME = "My first thing"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """A thing to write to, and a code with which a device makes another."""

    thing: NewThing
    code: ActivationCode


async def first_start(platform: Platform) -> FirstStart | None:
    """Make a product, a thing and a code, unless there is a product already."""
    async for _ in platform.products.all():
        return None
    product = await platform.products.create(_PRODUCT_NAME)
    thing = await platform.things.create(product.id)
    if thing is None:
        raise AssertionError("the product was made just now")
    await name_thing(platform, thing, _THING_NAME)
    async for codes in platform.products.create_codes(product.id, 1):
        return FirstStart(thing, codes[0])
    return None


async def name_thing(platform: Platform, new: NewThing, name: str) -> None:
    """Store the thing's display name where its device finds it, in `$settings.name`."""
    await platform.values.submit(new.thing, IncomingWrite([IncomingValue("$settings.name", name)]))
