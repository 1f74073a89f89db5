"""`thingstead product create|list|show|change|link-ids`."""

from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from thingstead.cli.common import PRODUCT_ID, administer, data_option, json_option, print_json

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.products.model import Product


class _Wanted(TypedDict):
    """The options of `product change`, as click hands them over."""

    automatic_activation: str | None
    label: str | None
    decoder: str | None
    no_decoder: bool
    new_hash: bool
    new_udp_key: bool
    no_udp_key: bool


@click.group("product")
def product_group() -> None:
    """Create, list and change products, the kinds of thing."""


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
        print_json([_with_settings(product) for product in products])
        return
    for product in products:
        click.echo(f"{product.id}  {product.hash}  {product.name}")


@product_group.command("show")
@click.argument("product_id", type=PRODUCT_ID)
@data_option
@json_option
def show(product_id: int, data: str | None, *, as_json: bool) -> None:
    """Show PRODUCT_ID with its secrets: the hash, and the key of its datagrams."""

    async def work(administration: "Administration") -> "tuple[Product, str | None]":
        from thingstead.kernel.ids import ProductId

        product = await administration.products.get(ProductId(product_id))
        return product, administration.products.udp_key(product)

    _tell(*administer(data, work), as_json=as_json)


@product_group.command("change")
@click.argument("product_id", type=PRODUCT_ID)
@click.option(
    "--automatic-activation",
    type=click.Choice(["on", "off"]),
    help="Whether a device id that is not known yet becomes a thing, for an activation code.",
)
@click.option("--format", "label", help="What its devices send, for people; empty for nothing.")
@click.option("--decoder", help="How the bytes of its messages become values.")
@click.option("--no-decoder", is_flag=True, help="Store the bytes of its messages as text.")
@click.option("--new-hash", is_flag=True, help="Replace the hash; addresses with the old one end.")
@click.option("--new-udp-key", is_flag=True, help="Make a key; datagrams need its HMAC then.")
@click.option("--no-udp-key", is_flag=True, help="Take datagrams without an HMAC.")
@data_option
@json_option
def change(product_id: int, data: str | None, *, as_json: bool, **wanted: Unpack[_Wanted]) -> None:
    """Change PRODUCT_ID; a running server follows at once."""
    if wanted["decoder"] is not None and wanted["no_decoder"]:
        raise click.UsageError("name either --decoder or --no-decoder")
    if wanted["new_udp_key"] and wanted["no_udp_key"]:
        raise click.UsageError("name either --new-udp-key or --no-udp-key")
    if not any(value not in {None, False} for value in wanted.values()):
        raise click.UsageError("name what to change")

    async def work(administration: "Administration") -> "tuple[Product, str | None]":
        from thingstead.features.products.model import ProductChange
        from thingstead.kernel.ids import ProductId

        activation = wanted["automatic_activation"]
        product = await administration.products.change(
            ProductId(product_id),
            ProductChange(
                is_automatic=None if activation is None else activation == "on",
                format=wanted["label"],
                decoder="" if wanted["no_decoder"] else wanted["decoder"],
                sealed_udp_key=b"" if wanted["no_udp_key"] else None,
            ),
            has_new_hash=wanted["new_hash"],
            has_new_udp_key=wanted["new_udp_key"],
        )
        return product, administration.products.udp_key(product)

    _tell(*administer(data, work), as_json=as_json)


@product_group.command("link-ids")
@click.argument("product_id", type=PRODUCT_ID)
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


def _with_settings(product: "Product") -> dict[str, object]:
    return {
        **_as_json(product),
        "automaticActivation": product.is_automatic,
        "format": product.format,
        "decoder": product.decoder,
        "hasUdpKey": product.sealed_udp_key is not None,
    }


def _tell(product: "Product", udp_key: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({**_with_settings(product), "udpKey": udp_key})
        return
    for name, text in (
        ("Product", f"{product.id} ({product.name})"),
        ("Hash", product.hash),
        ("Automatic activation", "on" if product.is_automatic else "off"),
        ("Format", product.format or "-"),
        ("Decoder", product.decoder or "-"),
        ("UDP key", udp_key or "-"),
    ):
        click.echo(f"{name}: {text}")
