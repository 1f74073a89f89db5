"""Each generated page as a function from the program to text."""

import asyncio
import dataclasses
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click

import thingstead
from thingstead.bootstrap import open_platform
from thingstead.cli.main import cli
from thingstead.kernel.errors import ThingsteadError
from thingstead.limit_settings import LimitSettings
from thingstead.reference.fixed_limits import fixed_limits
from thingstead.routes import all_routes
from thingstead.settings import ENVIRONMENT_PREFIX, Settings
from thingstead.transports.http.asyncapi import asyncapi_document
from thingstead.transports.http.openapi import openapi_document
from thingstead.transports.http.refusals import status_of

_GENERATED = "<!-- Written by scripts/docs; do not edit. -->\n"


def all_pages() -> dict[str, str]:
    """Return the text of every generated page by its file name."""
    return {
        "errors.md": errors_page(),
        "settings.md": settings_page(),
        "limits.md": limits_page(),
        "cli.md": cli_page(),
        "openapi.json": openapi_page(),
        "asyncapi.json": asyncapi_page(),
    }


def error_classes() -> list[type[ThingsteadError]]:
    """Return every refusal of the program, by code."""
    for module in pkgutil.walk_packages(thingstead.__path__, "thingstead."):
        if not module.name.endswith("__main__") and ".versions." not in module.name:
            if module.name.endswith(".env"):
                # Alembic's scripts run when they are imported.
                continue
            importlib.import_module(module.name)
    found = [kind for kind in _subclasses(ThingsteadError) if "code" in vars(kind)]
    return sorted(found, key=lambda kind: kind.code)


def _subclasses(kind: type[ThingsteadError]) -> Iterator[type[ThingsteadError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def errors_page() -> str:
    """Return the catalogue of refusals."""
    lines = [
        "# Errors\n",
        _GENERATED,
        'Every refusal is `{"status":"error","code":N,"message":"…"}`; `code` is the HTTP status,',
        "and after the message's first words comes what is wrong and where, such as",
        "`Invalid values: values[3].value: missing`. Nothing of a refused request is stored.\n",
        "Besides these the HTTP server itself answers, in the same form, 400 for what is no HTTP,",
        "408 when a request arrives too slowly, 414 and 431 for a too large head, and 503 when",
        "too many connections are open.\n",
        "| Name | Status | Message | When | What to do |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{kind.code}` | {status_of(kind)} | {kind.message} | {_summary(kind)}"
        f" | {_cell(kind.advice)} |"
        for kind in error_classes()
    ]
    return "\n".join(lines) + "\n"


def _summary(kind: type[ThingsteadError]) -> str:
    return _cell(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " "))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def settings_page() -> str:
    """Return the settings, with where each may be set."""
    lines = [
        "# Settings\n",
        _GENERATED,
        "Each setting comes from, in rising precedence: its default, `thingstead.toml` in the",
        "data folder, the environment, the command line. The limits have their own page,",
        "[limits.md](limits.md). An unknown name stops the start.\n",
        "| `thingstead.toml` | Environment | Default | What it is |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{field.name}` | `{ENVIRONMENT_PREFIX}{field.name.upper()}` | {_default(field)}"
        f" | {_cell(field.metadata['description'])} |"
        for field in dataclasses.fields(Settings)
        if field.name != "limits"
    ]
    return "\n".join(lines) + "\n"


def _default(field: "dataclasses.Field[object]") -> str:
    default = field.default
    if default is None or default == ():
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def limits_page() -> str:
    """Return the limits: those that are settings, and the fixed ones."""
    lines = [
        "# Limits\n",
        _GENERATED,
        "Every refusal names the limit that it met. These can be set, as `[limits]` in",
        f"`thingstead.toml` or as `{ENVIRONMENT_PREFIX}LIMITS_NAME` in the environment:\n",
        "| Name | Default | What it bounds | Beyond it |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{field.name}` | {field.default:,} | {field.metadata['description']}"
        f" | {field.metadata['refusal']} |"
        for field in dataclasses.fields(LimitSettings)
    ]
    lines += ["\nThese are fixed:\n", "| What | Limit | Beyond it |", "| --- | --- | --- |"]
    lines += [f"| {what} | {limit} | {beyond} |" for what, limit, beyond in fixed_limits()]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """Return the help texts of all commands."""
    parts = ["# Command line\n", _GENERATED]
    for path, command in _commands("thingstead", cli):
        context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
        parts.append(f"## {path}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _commands(f"{path} {name}", command.commands[name])


def openapi_page() -> str:
    """Return the OpenAPI document of the whole route table."""

    async def document() -> dict[str, object]:
        with TemporaryDirectory() as folder:
            settings = Settings(data=str(Path(folder) / "data"))
            async with open_platform(settings) as platform:
                return openapi_document(all_routes(settings, platform))

    return json.dumps(asyncio.run(document()), indent=1, ensure_ascii=False) + "\n"


def asyncapi_page() -> str:
    """Return the AsyncAPI document."""
    return json.dumps(asyncapi_document(), indent=1, ensure_ascii=False) + "\n"
