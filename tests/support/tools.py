"""Programs of the system that some tests need and some machines lack."""

import os
import shutil

import pytest

REQUIRE = "THINGSTEAD_TEST_REQUIRE"


def require_tool(name: str) -> None:
    """Skip the test when the program is missing; fail it where everything must be there."""
    if shutil.which(name) is not None:
        return
    reason = f"the program {name} is not installed (.ci/run installs it)"
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
