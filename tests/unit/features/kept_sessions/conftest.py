import pytest

from doubles.kept_rig import Rig


@pytest.fixture
def rig():
    return Rig()
