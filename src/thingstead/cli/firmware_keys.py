"""`thingstead firmware key add|list|revoke` and `firmware signatures`: whom a product trusts.

Making keys and signing with them is in `firmware_offline.py`; the server is given public keys
only.
"""

from typing import IO, TYPE_CHECKING

import click

from thingstead.cli.common import PRODUCT_ID, administer, data_option, json_option, print_json
from thingstead.cli.firmware_offline import create_command
from thingstead.cli.texts import confirm, moment

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.firmware.model import SigningKey

_MOST_PEM_BYTES = 65_536


@click.group("key")
def key_group() -> None:
    """Make pairs of keys, and say whose signatures a product trusts."""


key_group.add_command(create_command)


@key_group.command("add")
@click.argument("file", type=click.File("rb"))
@click.option("--product", type=PRODUCT_ID, required=True, help="Product id.")
@click.option("--name", required=True, help="Whose key it is, for people.")
@data_option
@json_option
def add(file: IO[bytes], product: int, name: str, data: str | None, *, as_json: bool) -> None:
    """Trust signatures of the public key in FILE. It is in PEM, and for images of one product."""

    async def work(administration: "Administration") -> "SigningKey":
        from thingstead.kernel.ids import ProductId

        pem = file.read(_MOST_PEM_BYTES)
        return await administration.publishing.add_key(ProductId(product), pem, name)

    key = administer(data, work)
    if as_json:
        print_json(_as_json(key))
        return
    click.echo(f"Key {key.id} ({key.algorithm}) is trusted for product {product}.")


@key_group.command("list")
@click.option("--product", type=PRODUCT_ID, required=True, help="Product id.")
@data_option
@json_option
def list_keys(product: int, data: str | None, *, as_json: bool) -> None:
    """List a product's public keys, the oldest first."""

    async def work(administration: "Administration") -> "tuple[list[SigningKey], bool]":
        from thingstead.kernel.ids import ProductId

        publishing = administration.publishing
        wanted = (await administration.products.get(ProductId(product))).id
        return list(await publishing.keys(wanted)), await publishing.demands_signatures(wanted)

    keys, is_required = administer(data, work)
    if as_json:
        print_json([_as_json(key) for key in keys])
        return
    for key in keys:
        revoked = "" if key.revoked_at_ms is None else f"  revoked {moment(key.revoked_at_ms)}"
        click.echo(f"{key.id}  {key.algorithm}  {key.name}{revoked}")
    click.echo(f"Signatures are {'required' if is_required else 'optional'}.", err=True)


@key_group.command("revoke")
@click.argument("key_id")
@click.option("--product", type=PRODUCT_ID, required=True, help="Product id.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def revoke(key_id: str, product: int, data: str | None, *, yes: bool, as_json: bool) -> None:
    """Trust no new signature of KEY_ID. Images that are published stay so."""
    confirm(f"Revoke key {key_id} of product {product} for good?", is_sure=yes, as_json=as_json)

    async def work(administration: "Administration") -> None:
        from thingstead.kernel.ids import ProductId

        await administration.publishing.revoke_key(ProductId(product), key_id)

    administer(data, work)
    if as_json:
        print_json({"id": key_id, "revoked": True})
        return
    click.echo("Revoked.")


def _as_json(key: "SigningKey") -> dict[str, object]:
    return {
        "id": key.id,
        "product": key.product_id,
        "algorithm": key.algorithm,
        "name": key.name,
        "createdAt": moment(key.created_at_ms),
        "revokedAt": moment(key.revoked_at_ms),
    }


@click.command("signatures")
@click.option("--product", type=PRODUCT_ID, required=True, help="Product id.")
@click.option("--required/--optional", default=None, help="Whether unsigned images are refused.")
@data_option
@json_option
def signatures_command(
    product: int, data: str | None, *, required: bool | None, as_json: bool
) -> None:
    """Say whether images of a product have to be signed. Without an option, tell it."""

    async def work(administration: "Administration") -> bool:
        from thingstead.kernel.ids import ProductId

        publishing = administration.publishing
        wanted = ProductId(product)
        if required is None:
            await administration.products.get(wanted)
        else:
            await publishing.demand_signatures(wanted, is_demanded=required)
        return await publishing.demands_signatures(wanted)

    is_required = administer(data, work)
    if as_json:
        print_json({"product": product, "required": is_required})
        return
    click.echo(f"Signatures are {'required' if is_required else 'optional'}.")
