"""Names of image files as they are given out: never a path, never more than plain ASCII.

Knows nothing of images. Bytes are found by their digest, so a name is decoration; it still goes
into a header of the answer and onto the disk of whoever saves it.
"""

import re

MAX_FILENAME_CHARACTERS = 100
_FALLBACK = "firmware.bin"
_MAX_EXTENSION_CHARACTERS = 16
# A path of that length is none; it also bounds the work.
_MOST_READ = 4_096
_SEPARATORS = re.compile(r"[/\\]")
_OTHERS = re.compile(r"[^A-Za-z0-9._+-]+")
# Windows opens its devices under these names, whatever their extension.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


def safe_filename(text: str) -> str:
    """Return a harmless name made of the text: 1 to 100 of letters, digits and . _ + -.

    Only what follows the last slash or backslash counts. Whatever else it holds becomes an
    underscore. It begins with neither a dot nor a hyphen; a long one keeps its extension.
    """
    name = _OTHERS.sub("_", _SEPARATORS.split(text[-_MOST_READ:])[-1])
    name = name.lstrip(".-").rstrip(".")
    if not name.strip("_"):
        return _FALLBACK
    if _DEVICE.fullmatch(name) is not None:
        name = f"_{name}"
    return _shortened(name)


def _shortened(name: str) -> str:
    if len(name) <= MAX_FILENAME_CHARACTERS:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > _MAX_EXTENSION_CHARACTERS:
        return name[:MAX_FILENAME_CHARACTERS].rstrip(".")
    return stem[: MAX_FILENAME_CHARACTERS - len(extension) - 1] + dot + extension
