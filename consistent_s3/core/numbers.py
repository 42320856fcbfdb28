"""Which number does the next version get?

Numbers are 63-bit, start at 1 and order the versions of one name. *Sequence* numbering counts; *clock* numbering is a
hybrid logical clock in microseconds. Both live in one number space, so a bucket can move from one to the other.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum

MAX_NUMBER = 2**63 - 1
"""The greatest number."""

_DIGITS = 19
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Numbering(Enum):
    """How the next number is found."""

    SEQUENCE = "sequence"
    """The newest number plus one. Two writers reach for the same number, and the store lets one win."""
    CLOCK = "clock"
    """`max(newest + 1, microseconds since 1970)`. Nobody is told of a race, but nobody's bytes are overwritten."""


def next_number(newest: int, *, numbering: Numbering, now: datetime) -> int:
    """Return the number for the version after `newest` (0 if there is none)."""
    if numbering is Numbering.SEQUENCE:
        return newest + 1
    return max(newest + 1, (now - _EPOCH) // timedelta(microseconds=1))


def read_number(text: str) -> int | None:
    """Return the number that somebody wrote, 0 included; `None` for what is no number, or too great for one."""
    if len(text) > _DIGITS or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= MAX_NUMBER else None


def to_digits(number: int) -> str:
    """Return the nines' complement of a number, 19 digits: greater numbers sort first.

    Each digit is nine minus the digit of the number, so version 7 ends in ...2 and people can still read it.
    """
    if not 0 < number <= MAX_NUMBER:
        raise ValueError(f"{number} is no version number. Numbers run from 1 to {MAX_NUMBER}.")
    return f"{10**_DIGITS - 1 - number:0{_DIGITS}d}"


def from_digits(digits: str) -> int | None:
    """Return the number that `to_digits` wrote, or `None` if it did not write that."""
    if len(digits) != _DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    number = 10**_DIGITS - 1 - int(digits)
    return number if 0 < number <= MAX_NUMBER else None
