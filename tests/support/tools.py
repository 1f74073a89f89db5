"""Programs of the system that some tests need and some machines lack."""

import os
import shutil
from pathlib import Path

import pytest

REQUIRE = "THINGSTEAD_TEST_REQUIRE"
CLIENTS = Path(__file__).parents[1] / "clients"
"""Where published clients are installed."""


def require_tool(name: str) -> None:
    """Skip the test when the program is missing; fail it where everything must be there."""
    if shutil.which(name) is not None:
        return
    _skip_or_fail(f"the program {name} is not installed (.ci/run installs it)")


def require_clients() -> None:
    """Skip the test when the published clients are missing; fail it likewise."""
    if not (CLIENTS / "node_modules" / ".prepared").exists():
        _skip_or_fail("the published clients are not installed (scripts/prepare-clients does it)")


def _skip_or_fail(reason: str) -> None:
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
