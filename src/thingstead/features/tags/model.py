"""What a tag is: a name on a thing; its id is the name (`thethings-v2.md` 3.8)."""

from typing import NewType

TagName = NewType("TagName", str)

MAX_TAG_CHARACTERS = 64
