"""Who changes files right now, and why?

    with attribution(author="ann", comment="new prices"):
        document.save()

Every version and tombstone written in the block, in this thread or task, carries both, unless the call that writes it
says otherwise. The admin does this around each of its requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """An author and a reason; both may be empty."""

    author: str = ""
    comment: str = ""


_author: ContextVar[str | Callable[[], str]] = ContextVar("consistent_s3_author", default="")
_comment: ContextVar[str] = ContextVar("consistent_s3_comment", default="")


@contextmanager
def attribution(*, author: str | Callable[[], str] | None = None, comment: str = "") -> Iterator[None]:
    """Attribute all writes of the block; blocks nest, and what one does not say the one around it does.

    An author that is costly to know may be a function: it is called by each write that names none itself.
    """
    author_before = _author.set(_author.get() if author is None else author)
    comment_before = _comment.set(comment or _comment.get())
    try:
        yield
    finally:
        _author.reset(author_before)
        _comment.reset(comment_before)


def attribute(author: str | None, comment: str) -> Attribution:
    """Return what a call said itself, completed by the block around it."""
    if author is None:
        around = _author.get()
        author = around() if callable(around) else around
    return Attribution(author=author, comment=comment or _comment.get())
