"""`thingstead`: joins the commands, and turns every expected error into one line.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the data folder cannot be used.
"""

import sys

import click

from thingstead import __version__
from thingstead.cli.app import app_group
from thingstead.cli.campaign import campaign_group
from thingstead.cli.codes import codes_group
from thingstead.cli.firmware import firmware_group
from thingstead.cli.mail import mail_group
from thingstead.cli.product import product_group
from thingstead.cli.serve import serve_command
from thingstead.cli.simulate import simulate_command
from thingstead.cli.thing import thing_group


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="thingstead")
def cli() -> None:
    """Self-hosted IoT platform that speaks the thethings.iO v2 API."""


cli.add_command(serve_command)
cli.add_command(product_group)
cli.add_command(codes_group)
cli.add_command(thing_group)
cli.add_command(app_group)
cli.add_command(mail_group)
cli.add_command(firmware_group)
cli.add_command(campaign_group)
cli.add_command(simulate_command)


def main() -> None:
    """Run the command line."""
    try:
        cli.main(standalone_mode=True)
    except KeyboardInterrupt:
        # Ctrl-C before a command could look after it.
        sys.exit(130)
