"""What has changed between two texts, line by line?"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

CONTEXT = 3
"""Unchanged lines that are shown around a change."""
LINES = 3_000
"""Lines of each text that are compared, between what both have in common at both ends: time grows with the square."""
SHOWN = 2_000
"""Rows that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a line."""

    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line on both sides, or on one."""

    kind: str
    """`same`, `changed`, `removed`, `added`, or `gap`, where unchanged lines are left out."""
    old_number: int | None = None
    old: tuple[Piece, ...] = ()
    new_number: int | None = None
    new: tuple[Piece, ...] = ()
    left_out: int = 0
    """Of a gap: how many lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChanges:
    """The changed lines of two texts with some context, side by side."""

    rows: tuple[Row, ...]
    added: int
    removed: int
    cut: bool
    """Not everything was compared, or not every change is here."""


def compare_texts(old: str, new: str) -> TextChanges:
    """Compare two texts line by line, and changed lines word by word."""
    olds, news = old.splitlines(), new.splitlines()
    matcher, cut = match(olds, news, most=LINES)
    rows: list[Row] = []
    added = removed = shown_until = 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        begin = group[0][1]
        if begin > shown_until:
            rows.append(Row(kind="gap", left_out=begin - shown_until))
        shown_until = group[-1][2]
        for what, a, a_end, b, b_end in group:
            if len(rows) <= SHOWN:
                rows.extend(_rows(what, olds[a:a_end][:SHOWN], a, news[b:b_end][:SHOWN], b))
            if what != "equal":
                removed, added = removed + a_end - a, added + b_end - b
    if rows and shown_until < len(olds):
        rows.append(Row(kind="gap", left_out=len(olds) - shown_until))
    cut = cut or len(rows) > SHOWN or added > SHOWN or removed > SHOWN
    return TextChanges(rows=tuple(rows[:SHOWN]), added=added, removed=removed, cut=cut)


def match(olds: Sequence[Any], news: Sequence[Any], *, most: int) -> tuple[difflib.SequenceMatcher[Any], bool]:
    """Return what matches in two sequences, and whether not everything was compared.

    Of what is left between the common beginning and the common end only the first `most` are compared, and the rest is
    taken for changed.
    """
    begin = end = 0
    shorter = min(len(olds), len(news))
    while begin < shorter and olds[begin] == news[begin]:
        begin += 1
    while end < shorter - begin and olds[-1 - end] == news[-1 - end]:
        end += 1
    middle = olds[begin : len(olds) - end], news[begin : len(news) - end]
    inner: difflib.SequenceMatcher[Any] = difflib.SequenceMatcher(a=middle[0][:most], b=middle[1][:most])
    opcodes = [
        (what, a + begin, a_end + begin, b + begin, b_end + begin) for what, a, a_end, b, b_end in inner.get_opcodes()
    ]
    rest = begin + min(len(middle[0]), most), begin + min(len(middle[1]), most)
    last = len(olds) - end, len(news) - end
    cut = rest != last
    if cut:
        opcodes.append(("replace", rest[0], last[0], rest[1], last[1]))
    whole: difflib.SequenceMatcher[Any] = difflib.SequenceMatcher()
    common = [("equal", 0, begin, 0, begin)] if begin else []
    ending = [("equal", last[0], len(olds), last[1], len(news))] if end else []
    whole.opcodes = [*common, *opcodes, *ending]  # type: ignore[attr-defined]
    return whole, cut


def _rows(what: str, olds: Sequence[str], a: int, news: Sequence[str], b: int) -> Iterator[Row]:
    for position in range(max(len(olds), len(news))):
        old = olds[position] if position < len(olds) else None
        new = news[position] if position < len(news) else None
        if what == "equal" and old is not None:
            whole = (Piece(text=old),)
            yield Row(kind="same", old_number=a + position + 1, old=whole, new_number=b + position + 1, new=whole)
        elif old is not None and new is not None:
            old_pieces, new_pieces = _words(old, new)
            yield Row(
                kind="changed",
                old_number=a + position + 1,
                old=old_pieces,
                new_number=b + position + 1,
                new=new_pieces,
            )
        elif old is not None:
            yield Row(kind="removed", old_number=a + position + 1, old=(Piece(text=old, changed=True),))
        elif new is not None:
            yield Row(kind="added", new_number=b + position + 1, new=(Piece(text=new, changed=True),))


def _words(old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Return two lines in pieces, the changed ones marked; lines that have little in common are changed as a whole."""
    if len(old) + len(new) > 2_000:
        return (Piece(text=old, changed=True),), (Piece(text=new, changed=True),)
    parts = _split(old), _split(new)
    matcher = difflib.SequenceMatcher(a=parts[0], b=parts[1], autojunk=False)
    if matcher.ratio() < 0.3:
        return (Piece(text=old, changed=True),), (Piece(text=new, changed=True),)
    olds: list[Piece] = []
    news: list[Piece] = []
    for what, a, a_end, b, b_end in matcher.get_opcodes():
        changed = what != "equal"
        if a_end > a:
            olds.append(Piece(text="".join(parts[0][a:a_end]), changed=changed))
        if b_end > b:
            news.append(Piece(text="".join(parts[1][b:b_end]), changed=changed))
    return tuple(olds), tuple(news)


def _split(line: str) -> list[str]:
    """Return the words of a line and what stands between them."""
    parts: list[str] = []
    for character in line:
        if parts and character.isalnum() and parts[-1][-1].isalnum():
            parts[-1] += character
        else:
            parts.append(character)
    return parts
