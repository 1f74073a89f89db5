"""`python -m thingstead.reference FOLDER`: write the generated pages."""

import sys
from pathlib import Path

from thingstead.reference.pages import all_pages


def main(folder: Path) -> None:
    """Write each page into the folder."""
    for name, text in all_pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
