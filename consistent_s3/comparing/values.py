"""What has changed between two JSON documents, key by key, or between two tables, row by row?"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from consistent_s3.comparing.texts import match

CHANGES = 500
"""Changes that are shown."""
ROWS = 3_000
"""Rows of each table that are compared."""
DEEPEST = 50
"""How deep documents are compared; below they are compared as a whole."""
VALUE = 200
"""Characters of a value that are shown."""

MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """A value that is another now."""

    kind: str
    """`changed`, `added` or `removed`."""
    where: str
    """The path to it: `address.lines[2]`."""
    old: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChanges:
    """What is different in two documents."""

    changes: tuple[ValueChange, ...]
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A row that is another now, or new, or gone."""

    kind: str
    """`changed`, `added` or `removed`."""
    number: int
    """Where it is, in the newer table if it is there; from 1, the heading not counted."""
    cells: tuple[tuple[str, str, bool], ...]
    """Old text, new text, and whether they differ, for each column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChanges:
    """What is different in two tables with a heading each."""

    heading: tuple[str, ...]
    rows: tuple[TableRow, ...]
    unchanged: int
    cut: bool


def compare_json(old: str, new: str) -> ValueChanges | None:
    """Compare two documents key by key; `None` if one of them is no JSON."""
    try:
        both = json.loads(old), json.loads(new)
    except (ValueError, RecursionError):
        return None
    changes: list[ValueChange] = []
    for change in _differences(*both, where="", depth=0):
        if len(changes) == CHANGES:
            return ValueChanges(changes=tuple(changes), cut=True)
        changes.append(change)
    return ValueChanges(changes=tuple(changes), cut=False)


def _differences(old: Any, new: Any, *, where: str, depth: int) -> Iterator[ValueChange]:
    if old is MISSING:
        yield ValueChange(kind="added", where=where, new=_shown(new))
    elif new is MISSING:
        yield ValueChange(kind="removed", where=where, old=_shown(old))
    elif isinstance(old, dict) and isinstance(new, dict) and depth < DEEPEST:
        for key in {**old, **new}:
            inner = f"{where}.{key}" if where else str(key)
            yield from _differences(old.get(key, MISSING), new.get(key, MISSING), where=inner, depth=depth + 1)
    elif isinstance(old, list) and isinstance(new, list) and depth < DEEPEST:
        for position in range(max(len(old), len(new))):
            one = old[position] if position < len(old) else MISSING
            other = new[position] if position < len(new) else MISSING
            yield from _differences(one, other, where=f"{where}[{position}]", depth=depth + 1)
    elif old != new or type(old) is not type(new):
        yield ValueChange(kind="changed", where=where, old=_shown(old), new=_shown(new))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE else f"{text[:VALUE]}…"


def compare_tables(old: str, new: str) -> TableChanges | None:
    """Compare two tables of comma-separated values row by row; `None` if they are no tables with the same heading."""
    tables = _table(old), _table(new)
    if not (tables[0] and tables[1]) or tables[0][0] != tables[1][0] or len(tables[0][0]) < 2:
        return None
    heading = tuple(tables[0][0])
    olds, news = ([tuple(row) for row in table[1:]] for table in tables)
    matcher, cut = match(olds, news, most=ROWS)
    rows: list[TableRow] = []
    unchanged = 0
    for what, a, a_end, b, b_end in matcher.get_opcodes():
        if what == "equal":
            unchanged += a_end - a
            continue
        for position in range(max(a_end - a, b_end - b)):
            before = olds[a + position] if a + position < a_end else None
            after = news[b + position] if b + position < b_end else None
            number = (b if after is not None else a) + position + 1
            rows.append(_table_row(before, after, number, columns=len(heading)))
    return TableChanges(
        heading=heading, rows=tuple(rows[:CHANGES]), unchanged=unchanged, cut=cut or len(rows) > CHANGES
    )


def _table_row(old: Sequence[str] | None, new: Sequence[str] | None, number: int, *, columns: int) -> TableRow:
    kind = "added" if old is None else "removed" if new is None else "changed"
    cells = []
    for column in range(columns):
        before = old[column] if old is not None and column < len(old) else ""
        after = new[column] if new is not None and column < len(new) else ""
        cells.append((before[:VALUE], after[:VALUE], before != after))
    return TableRow(kind=kind, number=number, cells=tuple(cells))


def _table(text: str) -> list[list[str]]:
    heading = text.partition("\n")[0]
    delimiter = max(",;\t|", key=heading.count)
    try:
        return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error:
        return []
