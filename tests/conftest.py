"""What holds for every suite."""

from support.tools import require_tool


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs_tool"):
        for name in marker.args:
            require_tool(name)
