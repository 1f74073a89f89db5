"""A fleet's product and things are found again, and made where they are missing."""

import pytest

from thingstead.bootstrap import open_administration
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.kernel.ids import ProductId
from thingstead.settings import Settings
from thingstead.simulation.enrolment import new_thing, product_named, things_of


@pytest.fixture(name="administration")
async def _administration(tmp_path):
    async with open_administration(Settings(data=str(tmp_path))) as administration:
        yield administration


async def test_a_product_is_made_once(administration):
    await administration.products.create("Another")

    first = await product_named(administration.products, "Fleet")
    again = await product_named(administration.products, "Fleet")

    assert first == again
    assert first.name == "Fleet"


async def test_the_same_things_come_in_the_same_order_however_many_are_asked_for(administration):
    product = await product_named(administration.products, "Fleet")

    three = await things_of(administration.things, product.id, 3)
    five = await things_of(administration.things, product.id, 5)

    assert len({new.thing.id for new in five}) == 5
    assert set(three) <= set(five)
    assert await things_of(administration.things, product.id, 5) == five
    assert await things_of(administration.things, product.id, 2) == five[:2]


async def test_no_thing_is_made_of_a_product_that_is_gone(administration):
    with pytest.raises(ThingNotFoundError):
        await new_thing(administration.things, ProductId(999))
