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


def _as_json(product: "Product") -> dict[str, object]:
    return {"id": product.id, "name": product.name, "hash": product.hash}
