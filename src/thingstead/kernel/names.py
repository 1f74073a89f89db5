"""Names that people give: to products, things and tags."""

import unicodedata

MAX_NAME_CHARACTERS = 100


def has_control_characters(text: str) -> bool:
    """Return whether the text holds control, unassigned-surrogate or line-separator characters."""
    return any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text)


def name_problem(name: str, max_characters: int = MAX_NAME_CHARACTERS) -> str | None:
    """Return what is wrong with a name, or None when it may be used."""
    if not name.strip():
        return "must not be empty"
    if len(name) > max_characters:
        return f"must not be longer than {max_characters} characters"
    if has_control_characters(name):
        return "must not contain control characters"
    return None
