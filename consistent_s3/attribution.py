"""Who changes files right now, and why?

    with attribution(author="ann", comment="new prices"):
        document.save()

Every version and tombstone written in the block, in this thread or task, carries both, unless the call that writes it
says otherwise. The admin does this around each of its requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """An author and a reason; both may be empty."""

    author: str = ""
    comment: str = ""


_current: ContextVar[Attribution] = ContextVar("consistent_s3_attribution", default=Attribution())  # noqa: B039 - it is frozen


@contextmanager
def attribution(*, author: str = "", comment: str = "") -> Iterator[Attribution]:
    """Attribute all writes of the block; blocks nest, the innermost counts."""
    token = _current.set(Attribution(author=author, comment=comment))
    try:
        yield _current.get()
    finally:
        _current.reset(token)


def attribute(author: str | None, comment: str) -> Attribution:
    """Return what a call said itself, completed by the block around it."""
    around = _current.get()
    return Attribution(author=around.author if author is None else author, comment=comment or around.comment)
