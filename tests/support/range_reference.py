"""What a Range header means (RFC 9110, section 14), slowly and byte by byte, to compare with."""

import itertools
import re

UNSATISFIABLE = "416"


def reference(header, size, most_parts):
    """Return (start, end) of each part, None for the whole, or `UNSATISFIABLE`."""
    text = header.decode("latin-1")
    specs = [part for part in re.split(r"[ \t]*,[ \t]*", text[6:].strip(" \t")) if part]
    if not text.lower().startswith("bytes=") or not specs or not all(map(is_range, specs)):
        return None
    wanted = [bytes_of(spec, size) for spec in specs]
    if not any(wanted):
        return UNSATISFIABLE
    groups = joined([each for each in wanted if each])
    if len(groups) > most_parts:
        return None
    return [(min(group), max(group) + 1) for group in groups]


def is_range(spec):
    found = re.fullmatch(r"([0-9]+)-([0-9]*)|-[0-9]+", spec)
    return found is not None and not (found[2] and int(found[2]) < int(found[1]))


def bytes_of(spec, size):
    first, _, last = spec.partition("-")
    if not first:
        return {at for at in range(size) if at >= size - int(last)}
    return {at for at in range(size) if int(first) <= at <= (int(last) if last else size)}


def joined(groups):
    """Make one of sets that share a byte, or lie side by side, in the place of the first."""
    for one, other in itertools.combinations(range(len(groups)), 2):
        around = {at + step for at in groups[one] for step in (-1, 0, 1)}
        if around & groups[other]:
            grown = groups[one] | groups[other]
            return joined([*groups[:one], grown, *groups[one + 1 : other], *groups[other + 1 :]])
    return groups
