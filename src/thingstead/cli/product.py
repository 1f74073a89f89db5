"""`thingstead product create|list`."""

from typing import TYPE_CHECKING

import click

from thingstead.cli.common import administer, data_option, json_option, print_json

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.products.model import Product


@click.group("product")
def product_group() -> None:
    """Create and list products, the kinds of thing."""


@product_group.command("create")
@click.argument("name")
@data_option
@json_option
def create(name: str, data: str | None, *, as_json: bool) -> None:
    """Create a product called NAME."""

    async def work(administration: "Administration") -> "Product":
        return await administration.products.create(name)

    product = administer(data, work)
    if as_json:
        print_json(_as_json(product))
        return
    click.echo(f"Product {product.id} ({product.name}) is made. Its callback hash: {product.hash}")
    click.echo(f"Next: thingstead codes create --product {product.id} --count 10")


@product_group.command("list")
@data_option
@json_option
def list_products(data: str | None, *, as_json: bool) -> None:
    """List the products."""

    async def work(administration: "Administration") -> "list[Product]":
        return [product async for product in administration.products.all()]

    products = administer(data, work)
    if as_json:
        print_json([_as_json(product) for product in products])
        return
    for product in products:
        click.echo(f"{product.id}  {product.hash}  {product.name}")


@product_group.command("link-ids")
@click.argument("product_id", type=int)
@click.option("--app", help="App whose users may link the product's things by a link id.")
@click.option("--off", is_flag=True, help="Take no link ids.")
@data_option
@json_option
def link_ids(
    product_id: int, app: str | None, data: str | None, *, off: bool, as_json: bool
) -> None:
    """Let users of an app link things of PRODUCT_ID by an id that both present.

    Off by default: whoever knows or guesses the id that a thing will present can own the thing.
    """
    if (app is None) != off:
        raise click.UsageError("name either --app or --off")

    async def work(administration: "Administration") -> None:
        from thingstead.kernel.ids import ProductId

        app_id = None if app is None else (await administration.apps.get(app)).id
        await administration.links.set_link_app(ProductId(product_id), app_id)

    administer(data, work)
    if as_json:
        print_json({"id": product_id, "linkApp": app})
        return
    click.echo("Changed.")


def _as_json(product: "Product") -> dict[str, object]:
    return {"id": product.id, "name": product.name, "hash": product.hash}
