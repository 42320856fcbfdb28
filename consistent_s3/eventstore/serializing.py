"""How do the data of events become JSON, and how is what JSON cannot hold refused?

A serializer turns a project's values into what JSON can hold, and back. What it returns is checked here, so that what
is read is what was written: no number that is none, no key that is not a string, no tuple that would come back a list.

Of an event it is enough that it can be read again, perhaps as texts. A state is folded on, so it must come back as it
was.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any, Protocol

from consistent_s3.eventstore.errors import InvalidEventError

DEEPEST = 100
"""Levels of lists and dicts inside each other."""
LONGEST_NUMBER = 2**63
"""Whole numbers beyond this are not read alike everywhere."""

UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a serializer raises that does not know what it is to decode."""
LONGEST_SHOWN = 80
"""Characters of a value in an error."""

_LEAVES = frozenset({bool, type(None)})


class Serializer(Protocol):
    """Turns values into what JSON can hold, and back.

    `decode` raises for nothing that `encode` returns. Where `decode(encode(state))` does not equal a state, type by
    type, the event store refuses to fold it with snapshots.
    """

    def encode(self, value: Any) -> Any:
        """Return dicts, lists, strings, numbers, booleans, `None`. Raises `TypeError` or `ValueError` if it cannot."""
        ...

    def decode(self, value: Any) -> Any:
        """Return what `encode` was given, or what people should see in its place."""
        ...


class PlainJSON:
    """Takes values as they are, if JSON can hold them."""

    def encode(self, value: Any) -> Any:
        """Return the value."""
        return value

    def decode(self, value: Any) -> Any:
        """Return the value."""
        return value


def encoded(serializer: Serializer, value: Any, where: str) -> Any:
    """Return a value as JSON can hold it. Raises `InvalidEventError` saying what is wrong with it, and `where`."""
    try:
        plain = serializer.encode(value)
    except (TypeError, ValueError) as error:
        raise InvalidEventError(
            f"{where} cannot be serialized: {error}. Change the value, or give the event store a serializer that can."
        ) from error
    try:
        _check(plain, 0)
    except _UnfitError as error:
        raise InvalidEventError(f"{where}{error.place} {error}") from None
    return plain


def encoded_and_decoded(serializer: Serializer, value: Any, where: str) -> tuple[Any, Any]:
    """Return a value as JSON can hold it, and as it will be read. Raises `InvalidEventError` if either is not."""
    plain = encoded(serializer, value, where)
    try:
        return plain, serializer.decode(plain)
    except UNREADABLE as error:
        raise InvalidEventError(
            f"{where} could not be read again: {error!r}. Give the event store a serializer that decodes what it "
            "encodes."
        ) from error


def encoded_state(serializer: Serializer, state: Any, where: str) -> Any:
    """Return a state as JSON can hold it. Raises `InvalidEventError` also if it would be read back otherwise."""
    plain, again = encoded_and_decoded(serializer, state, where)
    try:
        _compare(state, again)
    except _UnfitError as error:
        raise InvalidEventError(
            f"{where}{error.place} {error}: what is folded on it would be something else. Keep in a state only what "
            "the serializer reads back as it was, or fold with snapshot_every=None."
        ) from None
    return plain


class _UnfitError(Exception):
    """Says what is wrong; its `path` grows on the way out."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.path: list[str | int] = []

    @property
    def place(self) -> str:
        """Return where it is."""
        return "".join(f"[{step!r}]" for step in reversed(self.path[-10:]))


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind in _LEAVES:
        return
    if kind is str:
        _check_text(value)
    elif kind is int:
        if not -LONGEST_NUMBER <= value < LONGEST_NUMBER:
            raise _UnfitError("is a number beyond 64 bits. Write it as a string.")
    elif kind is float:
        if not isfinite(value):
            raise _UnfitError(f"is {value}, which JSON cannot hold. Write None, or a string.")
    elif kind is list or kind is dict:
        if depth == DEEPEST:
            raise _UnfitError(f"has more than {DEEPEST} levels of lists and dicts inside each other. Make it flatter.")
        _check_items(value, depth + 1)
    else:
        raise _UnfitError(
            f"is of type {kind.__name__}, which JSON cannot hold. Use dicts, lists, strings, numbers, booleans and "
            "None, or give the event store a serializer for it."
        )


def _check_items(value: dict[Any, Any] | list[Any], depth: int) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for step, item in items:
        if isinstance(value, dict) and type(step) is not str:
            raise _UnfitError(f"has the key {shown(step)}, of type {type(step).__name__}. Keys must be strings.")
        try:
            if isinstance(step, str):
                _check_text(step)
            _check(item, depth)
        except _UnfitError as error:
            error.path.append(step)
            raise


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _UnfitError(f"has half a character, a surrogate, which is no text: {shown(text)}. Remove it.") from None


def _compare(value: Any, again: Any) -> None:
    """Raise if a value would be read back otherwise."""
    kind = type(value)
    if value is again:
        return
    if type(again) is not kind:
        raise _UnfitError(f"is of type {kind.__name__}, and would be read back as of type {type(again).__name__}")
    if kind is dict and value.keys() == again.keys():
        _compare_items((step, item, again[step]) for step, item in value.items())
    elif kind in {list, tuple} and len(value) == len(again):
        _compare_items((step, *both) for step, both in enumerate(zip(value, again, strict=True)))
    elif value != again and any("__eq__" in vars(base) for base in kind.__mro__[:-1]):  # else nobody can say
        raise _UnfitError(f"is {shown(value)}, and would be read back as {shown(again)}")


def _compare_items(items: Iterable[tuple[Any, Any, Any]]) -> None:
    for step, item, again in items:
        try:
            _compare(item, again)
        except _UnfitError as error:
            error.path.append(step)
            raise


def shown(value: object) -> str:
    """Return what an error tells of a value: however large it is, and whatever its `repr` does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the project's own class, or a number too long to be written
        return f"<{type(value).__name__}>"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
