"""What has changed between two texts, line by line?"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

CONTEXT = 3
"""Unchanged lines that are shown around a change."""
LINES = 3_000
"""Lines of each text that are compared, between what both have in common at both ends: time grows with the square."""
SHOWN = 2_000
"""Rows that are shown."""
LINE = 1_000
"""Characters of a line that are shown."""
BEFORE = 40
"""Characters that are shown before the first change of a longer line."""
WORDS = 200
"""Words of each of two lines up to which they are compared word by word."""
PAIRS = 5_000_000
"""Pairs of words that are looked at in one comparison."""

_NEWLINE = re.compile(r"\r\n|\r|\n")
_WORD = re.compile(r"\w+|\W")


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
    """None at all if the texts differ in nothing but the ends of lines."""
    added: int
    removed: int
    cut: bool
    """Not everything was compared, or not every change is here whole."""


def lines(text: str) -> list[str]:
    """Return the lines of a text as editors count them: `str.splitlines` would also break at a form feed."""
    found = _NEWLINE.split(text)
    return found if found[-1] else found[:-1]


def compare_texts(old: str, new: str) -> TextChanges:
    """Compare two texts line by line, and changed lines word by word."""
    olds, news = lines(old), lines(new)
    matcher, cut = match(olds, news, most=LINES)
    marker = _Marker()
    rows: list[Row] = []
    added = removed = shown_until = 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        begin = group[0][1]
        if begin > shown_until:
            rows.append(Row(kind="gap", left_out=begin - shown_until))
        shown_until = group[-1][2]
        for what, a, a_end, b, b_end in group:
            if len(rows) <= SHOWN:
                rows.extend(marker.rows(what, olds[a : min(a_end, a + SHOWN)], a, news[b : min(b_end, b + SHOWN)], b))
            if what != "equal":
                removed, added = removed + a_end - a, added + b_end - b
    if rows and shown_until < len(olds):
        rows.append(Row(kind="gap", left_out=len(olds) - shown_until))
    cut = cut or marker.shortened or len(rows) > SHOWN or added > SHOWN or removed > SHOWN
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


@dataclass(slots=True)
class _Marker:
    """Marks what is other in changed lines, as long as its budget lasts."""

    pairs: int = PAIRS
    shortened: bool = field(default=False, init=False)
    """A line is not shown whole."""

    def rows(self, what: str, olds: Sequence[str], a: int, news: Sequence[str], b: int) -> Iterator[Row]:
        for position in range(max(len(olds), len(news))):
            old = olds[position] if position < len(olds) else None
            new = news[position] if position < len(news) else None
            old_number = None if old is None else a + position + 1
            new_number = None if new is None else b + position + 1
            if what == "equal" and old is not None:
                whole = (Piece(text=self._shown(old, 0)),)
                yield Row(kind="same", old_number=old_number, old=whole, new_number=new_number, new=whole)
            elif old is not None and new is not None:
                pieces = self._pieces(old, new)
                yield Row(kind="changed", old_number=old_number, old=pieces[0], new_number=new_number, new=pieces[1])
            elif old is not None:
                yield Row(kind="removed", old_number=old_number, old=_changed(self._shown(old, 0)))
            elif new is not None:
                yield Row(kind="added", new_number=new_number, new=_changed(self._shown(new, 0)))

    def _pieces(self, old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
        """Return two lines in pieces, the changed ones marked; with little in common they are changed as a whole."""
        if max(len(old), len(new)) > LINE:
            begin = _alike(old, new) - BEFORE
            old, new = self._shown(old, begin), self._shown(new, begin)
        parts = _WORD.findall(old), _WORD.findall(new)
        pairs = len(parts[0]) * len(parts[1])
        if max(len(parts[0]), len(parts[1])) > WORDS or pairs > self.pairs:
            return _ends(old, new)
        self.pairs -= pairs
        matcher = difflib.SequenceMatcher(a=parts[0], b=parts[1], autojunk=False)
        if matcher.quick_ratio() < 0.3 or matcher.ratio() < 0.3:
            return _changed(old), _changed(new)
        olds: list[Piece] = []
        news: list[Piece] = []
        for what, a, a_end, b, b_end in matcher.get_opcodes():
            changed = what != "equal"
            if a_end > a:
                olds.append(Piece(text="".join(parts[0][a:a_end]), changed=changed))
            if b_end > b:
                news.append(Piece(text="".join(parts[1][b:b_end]), changed=changed))
        return tuple(olds), tuple(news)

    def _shown(self, line: str, begin: int) -> str:
        """Return what is shown of a line, from about a place in it."""
        if len(line) <= LINE:
            return line
        self.shortened = True
        begin = max(0, min(begin, len(line) - LINE))
        end = begin + LINE
        return f"{'…' if begin else ''}{line[begin:end]}{'…' if end < len(line) else ''}"


def _alike(old: str, new: str) -> int:
    """Return how many characters two lines begin with alike."""
    shorter = min(len(old), len(new))
    return next((position for position in range(shorter) if old[position] != new[position]), shorter)


def _changed(line: str) -> tuple[Piece, ...]:
    return (Piece(text=line, changed=True),)


def _ends(old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Return two lines in pieces, everything marked between what they begin and end with alike."""
    begin = _alike(old, new)
    end = _alike(old[begin:][::-1], new[begin:][::-1])

    def pieces(line: str) -> tuple[Piece, ...]:
        middle = len(line) - end
        parts = (line[:begin], False), (line[begin:middle], True), (line[middle:], False)
        return tuple(Piece(text=text, changed=changed) for text, changed in parts if text)

    return pieces(old), pieces(new)
