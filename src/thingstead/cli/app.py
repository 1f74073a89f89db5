"""`thingstead app create|list|change`."""

from typing import TYPE_CHECKING

import click

from thingstead.cli.common import administer, data_option, json_option, print_json

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.apps.model import App

_RESOURCE_HELP = "Resource that the app reaches; repeatable. Without any it reaches all."


@click.group("app")
def app_group() -> None:
    """Create, list and change apps; each has users of its own."""


@app_group.command("create")
@click.argument("name")
@click.option("--resource", "resources", multiple=True, help=_RESOURCE_HELP)
@click.option(
    "--needs-current-password",
    is_flag=True,
    help="A new password in the settings needs the current one beside it.",
)
@click.option(
    "--hides-accounts",
    is_flag=True,
    help="Registering tells nobody whether an address has an account; who registers can log in"
    " when the address is confirmed.",
)
@data_option
@json_option
def create(
    name: str,
    resources: tuple[str, ...],
    data: str | None,
    *,
    needs_current_password: bool,
    hides_accounts: bool,
    as_json: bool,
) -> None:
    """Create an app called NAME."""

    async def work(administration: "Administration") -> "App":
        from thingstead.features.apps.model import AppSettings

        settings = AppSettings(
            needs_current_password=needs_current_password, hides_accounts=hides_accounts
        )
        return await administration.apps.create(name, resources, settings)

    app = administer(data, work)
    if as_json:
        print_json({"id": app.id, "name": app.name})
        return
    click.echo(f"App {app.id} ({app.name})")


@app_group.command("list")
@data_option
@json_option
def list_apps(data: str | None, *, as_json: bool) -> None:
    """List the apps."""

    async def work(administration: "Administration") -> "list[App]":
        return [app async for app in administration.apps.all()]

    apps = administer(data, work)
    if as_json:
        print_json([_as_json(app) for app in apps])
        return
    for app in apps:
        reach = ", ".join(sorted(app.resources)) or "all resources"
        click.echo(f"{app.id}  {app.name}  ({reach})")


@app_group.command("change")
@click.argument("app_id")
@click.option("--name", help="New name.")
@click.option("--resource", "resources", multiple=True, help=_RESOURCE_HELP)
@click.option("--all-resources", is_flag=True, help="Let the app reach all resources.")
@click.option("--needs-current-password/--needs-no-current-password", default=None)
@click.option("--hides-accounts/--shows-accounts", default=None)
@data_option
@json_option
def change(
    app_id: str,
    name: str | None,
    resources: tuple[str, ...],
    data: str | None,
    *,
    all_resources: bool,
    needs_current_password: bool | None,
    hides_accounts: bool | None,
    as_json: bool,
) -> None:
    """Change the app APP_ID; what is not named stays as it is."""
    if all_resources and resources:
        raise click.UsageError("--all-resources and --resource contradict each other")

    async def work(administration: "Administration") -> "App":
        from dataclasses import replace

        from thingstead.features.apps.model import AppChange

        app = await administration.apps.get(app_id)
        settings = app.settings
        if needs_current_password is not None:
            settings = replace(settings, needs_current_password=needs_current_password)
        if hides_accounts is not None:
            settings = replace(settings, hides_accounts=hides_accounts)
        reached = frozenset(resources) if resources or all_resources else None
        return await administration.apps.change(app.id, AppChange(name, reached, settings))

    app = administer(data, work)
    if as_json:
        print_json(_as_json(app))
        return
    click.echo("Changed.")


def _as_json(app: "App") -> dict[str, object]:
    return {
        "id": app.id,
        "name": app.name,
        "resources": sorted(app.resources),
        "needsCurrentPassword": app.settings.needs_current_password,
        "hidesAccounts": app.settings.hides_accounts,
    }
