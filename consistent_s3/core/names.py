r"""Which logical names can be kept?

1. A name is a relative path with `/` between its segments: not empty, no empty, `.` or `..` segment, no `\`.
2. It contains no control character and none that UTF-8 cannot encode or XML cannot carry. Two Unicode normal forms of a
   text are two names: S3 compares bytes, and so do we.
3. No segment contains `.-v`, which is what sets a version's key apart from a name (see `keys`).
4. It fits a key of 1,024 bytes together with what `keys` adds; that bound is checked there.
"""

from __future__ import annotations

import unicodedata

from consistent_s3.core.errors import InvalidNameError

MARKER = ".-v"
"""What follows a name in each of its keys. No segment of a name may contain it."""


def validate_name(name: str) -> str:
    """Return `name` unchanged if it can be kept.

    Raises: `InvalidNameError`, before any request, saying which rule was broken.
    """
    if not name:
        raise InvalidNameError("The name is empty. Give the file a name.")
    _validate_characters(name)
    for segment in name.split("/"):
        if segment in {"", ".", ".."}:
            raise InvalidNameError(
                f"{shorten(name)!r} has the segment {segment!r}. "
                "Use a relative path without empty, '.' or '..' segments."
            )
        if MARKER in segment:
            raise InvalidNameError(
                f"{shorten(name)!r} contains {MARKER!r}, which sets versions apart from names. Choose another name."
            )
    return name


def validate_directory(path: str) -> str:
    """Return a directory's path without its last slash; the empty path is the root.

    Raises: `InvalidNameError`.
    """
    path = path.rstrip("/")
    return validate_name(path) if path else ""


def shorten(name: str, limit: int = 80) -> str:
    """Return a name fit for an error message."""
    return name if len(name) <= limit else f"{name[:limit]}..."


def _validate_characters(name: str) -> None:
    if "\\" in name:
        raise InvalidNameError(f"{shorten(name)!r} contains a backslash. Separate directories with '/'.")
    for character in name:
        if character in "\ufffe\uffff":
            raise InvalidNameError(
                f"{shorten(name)!r} contains U+{ord(character):04X}, which XML cannot carry, and S3 answers in XML. "
                "Remove it."
            )
        category = unicodedata.category(character)
        if category in {"Cc", "Cs"}:
            kind = "a control character" if category == "Cc" else "half of a surrogate pair"
            raise InvalidNameError(f"{shorten(name)!r} contains {kind} (U+{ord(character):04X}). Remove it.")
