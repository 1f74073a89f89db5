"""Finding a simulated fleet's product and things in an installation, or making them.

Works through the services of `features/`, next to a running server or inside it.
"""

from thingstead.features.products.model import Product
from thingstead.features.products.service import Products
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import NewThing
from thingstead.features.things.service import Things
from thingstead.kernel.ids import ProductId


async def product_named(products: Products, name: str) -> Product:
    """Return the oldest product of that name; make it when there is none."""
    async for product in products.all():
        if product.name == name:
            return product
    return await products.create(name)


async def things_of(things: Things, product_id: ProductId, count: int) -> list[NewThing]:
    """Return `count` things of the product, oldest first; make those that are missing.

    Called again, it returns the same things in the same order.
    """
    present = [new async for new in things.all(product_id)]
    while len(present) < count:
        present.append(await new_thing(things, product_id))
    # By id too, because several can be made within one millisecond.
    present.sort(key=lambda new: (new.thing.created_at_ms, new.thing.id))
    return present[:count]


async def new_thing(things: Things, product_id: ProductId) -> NewThing:
    """Return a thing just made.

    Raises:
        ThingNotFoundError: the product was deleted meanwhile.
    """
    new = await things.create(product_id)
    if new is None:
        raise ThingNotFoundError(f"product {product_id} is gone")
    return new
