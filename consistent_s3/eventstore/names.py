r"""Which types and ids can a stream have, and what are they called in a key?

1. A stream's type and its id are one segment each: not empty, no `/` or `\`, not `.` or `..`, no control character, no
   white space at either end, and without `.-v`, which is what sets versions of files apart from names.
2. In a key they are made of letters, digits, `-`, `.`, `_` and `~` only, since some servers mis-order or mis-page keys
   that need URL encoding. Every other byte of their UTF-8 is written as `~` and two hexadecimal digits, so any language
   will do: `Müller` is `M~c3~bcller`. Two Unicode normal forms of a text are two ids.
3. Written so, a type and an id have 200 bytes at most each.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from consistent_s3.core.errors import InvalidNameError
from consistent_s3.core.names import MARKER, shorten

MAX_SEGMENT_BYTES = 200
"""Bytes of a type or an id, as it is written in a key."""

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._")
_ESCAPED = re.compile(r"~([0-9a-f]{2})")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._-]|~[0-9a-f]{2})+")


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """Which stream: valid once built. Raises: `InvalidNameError`, before any request, saying which rule was broken."""

    type: str
    id: str

    def __post_init__(self) -> None:
        validate_segment(self.type, "The type of a stream")
        validate_segment(self.id, "The id of a stream")

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"{self.type}/{self.id}"


def validate_segment(text: str, what: str) -> str:
    """Return a type or an id unchanged if it can be kept. Raises: `InvalidNameError`."""
    if not isinstance(text, str):
        raise InvalidNameError(f"{what} is {text!r}, of type {type(text).__name__}. Give a string.")
    if not text:
        raise InvalidNameError(f"{what} is empty. Give it at least one character.")
    if text in {".", ".."}:
        raise InvalidNameError(f"{what} is {text!r}, which servers take for a directory. Choose another.")
    for character in text:
        if character in "/\\":
            raise InvalidNameError(
                f"{what} {shorten(text)!r} contains {character!r}, but is one segment of a key. Replace it, for "
                "example by '-'."
            )
        category = unicodedata.category(character)
        if category in {"Cc", "Cs"}:
            kind = "a control character" if category == "Cc" else "half of a surrogate pair"
            raise InvalidNameError(f"{what} {shorten(text)!r} contains {kind} (U+{ord(character):04X}). Remove it.")
    if text != text.strip():
        raise InvalidNameError(f"{what} {shorten(text)!r} begins or ends with white space. Remove it.")
    if MARKER in text:
        raise InvalidNameError(
            f"{what} {shorten(text)!r} contains {MARKER!r}, which sets versions of files apart from names. Choose "
            "another."
        )
    size = len(to_segment(text))
    if size > MAX_SEGMENT_BYTES:
        raise InvalidNameError(
            f"{what} {shorten(text)!r} takes {size} bytes in a key, and {MAX_SEGMENT_BYTES} is the most. Shorten it."
        )
    return text


def to_segment(text: str) -> str:
    """Return a type or an id as it is written in a key."""
    return "".join(chr(byte) if byte in _PLAIN else f"~{byte:02x}" for byte in text.encode())


def from_segment(segment: str) -> str | None:
    """Return the type or id that `to_segment` wrote; `None` if it did not write that."""
    if not _SEGMENT.fullmatch(segment):
        return None
    try:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), segment).encode("latin-1").decode()
        validate_segment(text, "It")
    except (UnicodeDecodeError, InvalidNameError):
        return None
    return text if to_segment(text) == segment else None
