"""`thingstead thing create|list|rotate-token|delete`."""

import sys
from typing import TYPE_CHECKING

import click

from thingstead.cli.common import (
    PRODUCT_ID,
    administer,
    data_option,
    fail,
    json_option,
    operate,
    print_json,
)

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration, Platform
    from thingstead.features.things.model import NewThing
    from thingstead.kernel.ids import ThingToken

_IDS_MAY_BEGIN_WITH_A_HYPHEN = {"ignore_unknown_options": True}


@click.group("thing")
def thing_group() -> None:
    """Create, list and delete things, and rotate their tokens."""


@thing_group.command("create")
@click.option("--product", type=PRODUCT_ID, required=True, help="Product id.")
@click.option("--name", help="Display name, kept as $settings.name.")
@data_option
@json_option
def create(product: int, name: str | None, data: str | None, *, as_json: bool) -> None:
    """Create a thing without an activation code."""
    from thingstead.kernel.names import name_problem

    problem = None if name is None else name_problem(name)
    if problem is not None:
        fail(f"--name {problem}", 2)

    async def work(platform: "Platform") -> "NewThing":
        from thingstead.features.products.errors import ProductNotFoundError
        from thingstead.first_start import name_thing
        from thingstead.kernel.ids import ProductId

        new = await platform.things.create(ProductId(product))
        if new is None:
            raise ProductNotFoundError(f"id {product}")
        if name is not None:
            await name_thing(platform, new, name)
        return new

    new = operate(data, work)
    if as_json:
        print_json({"id": new.thing.id, "token": new.token})
        return
    click.echo(f"Thing {new.thing.id}")
    click.echo(f"Token {new.token}")


@thing_group.command("list")
@click.option("--product", type=PRODUCT_ID, help="Only those of this product.")
@data_option
@json_option
def list_things(product: int | None, data: str | None, *, as_json: bool) -> None:
    """List the things with their tokens."""

    async def work(administration: "Administration") -> "list[NewThing]":
        from thingstead.kernel.ids import ProductId

        wanted = None if product is None else ProductId(product)
        return [thing async for thing in administration.things.all(wanted)]

    things = administer(data, work)
    if as_json:
        print_json([_as_json(new) for new in things])
        return
    for new in things:
        click.echo(f"{new.thing.id}  product {new.thing.product_id}  {new.token}")


@thing_group.command("rotate-token", context_settings=_IDS_MAY_BEGIN_WITH_A_HYPHEN)
@click.argument("thing_id")
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, 24 * 30),
    default=24,
    show_default=True,
    help="How long the old token still works.",
)
@data_option
@json_option
def rotate_token(thing_id: str, overlap_hours: int, data: str | None, *, as_json: bool) -> None:
    """Give the thing THING_ID a new token."""

    async def work(administration: "Administration") -> "ThingToken":
        from thingstead.kernel.ids import ThingId

        return await administration.things.rotate_token(
            ThingId(thing_id), overlap_ms=overlap_hours * 3_600_000
        )

    token = administer(data, work)
    if as_json:
        print_json({"id": thing_id, "token": token})
        return
    click.echo(token)
    click.echo(f"The old token works for {overlap_hours} h more.", err=True)


@thing_group.command("delete", context_settings=_IDS_MAY_BEGIN_WITH_A_HYPHEN)
@click.argument("thing_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def delete_thing(thing_id: str, data: str | None, *, yes: bool, as_json: bool) -> None:
    """Delete the thing THING_ID and everything that it wrote."""
    if not yes and not as_json:
        if not sys.stdin.isatty():
            fail("deleting needs --yes where nobody can be asked")
        click.confirm(f"Delete thing {thing_id} and all its values?", abort=True)

    async def work(administration: "Administration") -> None:
        from thingstead.kernel.ids import ThingId

        await administration.things.delete(ThingId(thing_id))

    administer(data, work)
    if as_json:
        print_json({"id": thing_id, "deleted": True})
        return
    click.echo("Deleted.")


def _as_json(new: "NewThing") -> dict[str, object]:
    return {"id": new.thing.id, "product": new.thing.product_id, "token": new.token}
