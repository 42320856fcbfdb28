"""The documents that most projects need: JSON, in the directory `state` of the default storage, or of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from consistent_s3.core.documents import Document, PastDocument
from consistent_s3.core.versions import Version
from consistent_s3.state.store import StateStore


def read(key: str, default: Any = None, *, using: str = "default") -> Any:
    """Return the current value, or the default; see `StateStore.read`."""
    return StateStore[Any](using).read(key, default)


def read_versioned(key: str, default: Any = None, *, using: str = "default") -> Document[Any]:
    """Return the current value with its version; see `StateStore.read_versioned`."""
    return StateStore[Any](using).read_versioned(key, default)


def write(
    key: str,
    value: Any,
    *,
    expected: int | None = None,
    author: str | None = None,
    comment: str = "",
    using: str = "default",
) -> Version:
    """Write a value and return its version; see `StateStore.write`."""
    return StateStore[Any](using).write(key, value, expected=expected, author=author, comment=comment)


def update(
    key: str,
    function: Callable[[Any], Any],
    default: Any = None,
    *,
    author: str | None = None,
    comment: str = "",
    using: str = "default",
) -> Any:
    """Replace the value by what a function makes of it, and return that; see `StateStore.update`."""
    return StateStore[Any](using).update(key, function, default, author=author, comment=comment)


def delete(
    key: str, *, expected: int | None = None, author: str | None = None, comment: str = "", using: str = "default"
) -> Version | None:
    """Write a tombstone and return it; see `StateStore.delete`."""
    return StateStore[Any](using).delete(key, expected=expected, author=author, comment=comment)


def history(key: str, *, before: int | None = None, using: str = "default") -> Iterator[PastDocument[Any]]:
    """Yield all versions, newest first; see `StateStore.history`."""
    return StateStore[Any](using).history(key, before=before)


def keys(*, using: str = "default") -> Iterator[str]:
    """Yield the keys of all documents; see `StateStore.keys`."""
    return StateStore[Any](using).keys()
