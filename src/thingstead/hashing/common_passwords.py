"""The passwords that are tried first: the `CommonPasswords` of `features/users/passwords.py`.

They are the most frequent ones of zxcvbn's list, which counts passwords out of known leaks.
"""

import importlib.util
from pathlib import Path

MOST_FREQUENT = 10_000


class CommonPasswordList:
    """Knows common passwords, in any mix of capitals; reads the list at first use."""

    def __init__(self) -> None:
        self._passwords: frozenset[str] | None = None

    def __contains__(self, password: str) -> bool:
        """Return whether the password, in lower case, is one of the most frequent."""
        if self._passwords is None:
            self._passwords = _load()
        return password.lower() in self._passwords


def _load() -> frozenset[str]:
    """Return the most frequent passwords; takes 10 ms on the development machine."""
    package = importlib.util.find_spec("zxcvbn")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("zxcvbn")
    # The list's module is run by itself, and dropped: importing the package would rank all of
    # its 94,000 words into tables that nobody asks and that stay in memory.
    path = Path(package.submodule_search_locations[0]) / "frequency_lists.py"
    spec = importlib.util.spec_from_file_location("frequency_lists", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("zxcvbn.frequency_lists")
    lists = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lists)
    ranked: list[str] = lists.FREQUENCY_LISTS["passwords"]
    return frozenset(ranked[:MOST_FREQUENT])
