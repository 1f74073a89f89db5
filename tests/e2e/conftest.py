"""Servers in processes of their own, one for each module that asks for one."""

import pytest

from support.process import server_process


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with server_process(tmp_path_factory.mktemp("server") / "folder") as running:
        yield running
        assert running.stop() == 0, running.logged()
        assert "Traceback" not in running.logged()
