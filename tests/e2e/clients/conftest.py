"""Published clients in processes of their own; `scripts/prepare-clients` installs them."""

import pytest

from support.tools import require_clients


@pytest.fixture(autouse=True, scope="session")
def _clients():
    require_clients()
