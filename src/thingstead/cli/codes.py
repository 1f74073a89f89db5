"""`thingstead codes create|list`."""

import sys
from typing import TYPE_CHECKING

import click

from thingstead.cli.common import PRODUCT_ID, administer, data_option, json_option, print_json

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.products.model import UnusedCode
    from thingstead.kernel.ids import ActivationCode

_WORTH_A_BAR = 2_000


@click.group("codes")
def codes_group() -> None:
    """Create and list activation codes; each makes one thing."""


@codes_group.command("create")
@click.option("--product", type=PRODUCT_ID, required=True, help="Product id.")
@click.option("--count", type=int, default=1, show_default=True, help="How many codes.")
@data_option
@json_option
def create(product: int, count: int, data: str | None, *, as_json: bool) -> None:
    """Create activation codes for a product, one a line."""

    async def work(administration: "Administration") -> "list[ActivationCode]":
        from thingstead.kernel.ids import ProductId

        codes: list[ActivationCode] = []
        hidden = count < _WORTH_A_BAR or not sys.stderr.isatty()
        with click.progressbar(
            length=max(count, 0), label="Making codes", file=sys.stderr, hidden=hidden
        ) as bar:
            async for some in administration.products.create_codes(ProductId(product), count):
                codes += some
                bar.update(len(some))
        return codes

    codes = administer(data, work)
    if as_json:
        print_json(codes)
        return
    for code in codes:
        click.echo(code)


@codes_group.command("list")
@click.option("--product", type=PRODUCT_ID, help="Only those of this product.")
@data_option
@json_option
def list_codes(product: int | None, data: str | None, *, as_json: bool) -> None:
    """List the codes that have made no thing yet."""

    async def work(administration: "Administration") -> "list[UnusedCode]":
        from thingstead.kernel.ids import ProductId

        wanted = None if product is None else ProductId(product)
        return [code async for code in administration.products.unused_codes(wanted)]

    codes = administer(data, work)
    if as_json:
        print_json([{"code": code.code, "product": code.product_id} for code in codes])
        return
    for code in codes:
        click.echo(f"{code.code}  product {code.product_id}")
