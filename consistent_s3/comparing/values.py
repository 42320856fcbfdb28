"""What has changed between two JSON documents, key by key, or between two tables, row by row?"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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
COLUMNS = 100
"""Columns up to which tables are compared row by row."""

ITEMS = 1_000
"""Items of each of two lists that are matched, between what both have in common at both ends."""

MISSING = object()
_PLAIN_KEY = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """A value that is another now."""

    kind: str
    """`changed`, `added` or `removed`."""
    where: str
    """The path to it: `address.lines[2]`; of an item that is gone, where it was."""
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
    """Compare two documents key by key.

    `None` if one of them is no JSON, or says two things of one key, or is too deep.
    """
    try:
        both = _document(old), _document(new)
        changes = list(islice(_differences(*both, where="", depth=0), CHANGES + 1))
    except (ValueError, RecursionError):
        return None
    return ValueChanges(changes=tuple(changes[:CHANGES]), cut=len(changes) > CHANGES)


class _Constant(str):
    """`NaN` and its like: other than the text, and equal to itself."""

    __slots__ = ()


def _document(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object, parse_constant=_Constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("A key is there twice, so what is said of it first would be compared with nothing.")
    return found


def _differences(old: Any, new: Any, *, where: str, depth: int) -> Iterator[ValueChange]:
    if old is MISSING:
        yield ValueChange(kind="added", where=where, new=_shown(new))
    elif new is MISSING:
        yield ValueChange(kind="removed", where=where, old=_shown(old))
    elif isinstance(old, dict) and isinstance(new, dict) and depth < DEEPEST:
        for key in {**old, **new}:
            one, other = old.get(key, MISSING), new.get(key, MISSING)
            yield from _differences(one, other, where=_below(where, key), depth=depth + 1)
    elif isinstance(old, list) and isinstance(new, list) and depth < DEEPEST:
        yield from _in_lists(old, new, where=where, depth=depth + 1)
    elif old != new or type(old) is not type(new):
        yield ValueChange(kind="changed", where=where, old=_shown(old), new=_shown(new))


def _in_lists(old: list[Any], new: list[Any], *, where: str, depth: int) -> Iterator[ValueChange]:
    """Yield what is different in two lists: an item put in or taken out does not make all behind it another."""
    texts = [[json.dumps(item) for item in items] for items in (old, new)]
    matcher, _ = match(*texts, most=ITEMS)
    for what, a, a_end, b, b_end in matcher.get_opcodes():
        for position in range(0 if what == "equal" else max(a_end - a, b_end - b)):
            one = old[a + position] if a + position < a_end else MISSING
            other = new[b + position] if b + position < b_end else MISSING
            place = a + position if other is MISSING else b + position
            yield from _differences(one, other, where=f"{where}[{place}]", depth=depth)


def _below(where: str, key: str) -> str:
    """Return the path to a key; one with dots or spaces is quoted, so that no path means two places."""
    if not _PLAIN_KEY.fullmatch(key):
        return f"{where}[{_shown(key)}]"
    return f"{where}.{key}" if where else key


def _shown(value: Any) -> str:
    return _shortened(json.dumps(value, ensure_ascii=False).encode(errors="replace").decode())


def _shortened(text: str) -> str:
    return text if len(text) <= VALUE else f"{text[:VALUE]}…"


def compare_tables(old: str, new: str) -> TableChanges | None:
    """Compare two tables of comma-separated values row by row; `None` if they are no tables with the same heading."""
    tables = _table(old), _table(new)
    if not (tables[0] and tables[1]) or tables[0][0] != tables[1][0] or len(tables[0][0]) < 2:
        return None
    columns = max(len(row) for table in tables for row in table)
    if columns > COLUMNS:
        return None
    heading = tuple(_shortened(cell) for cell in tables[0][0]) + ("",) * (columns - len(tables[0][0]))
    olds, news = ([tuple(row) for row in table[1:]] for table in tables)
    matcher, cut = match(olds, news, most=ROWS)
    rows: list[TableRow] = []
    unchanged = 0
    for what, a, a_end, b, b_end in matcher.get_opcodes():
        if what == "equal":
            unchanged += a_end - a
            continue
        for position in range(max(a_end - a, b_end - b)):
            if len(rows) > CHANGES:
                break
            before = olds[a + position] if a + position < a_end else None
            after = news[b + position] if b + position < b_end else None
            number = (b if after is not None else a) + position + 1
            rows.append(_table_row(before, after, number, columns=columns))
    return TableChanges(
        heading=heading, rows=tuple(rows[:CHANGES]), unchanged=unchanged, cut=cut or len(rows) > CHANGES
    )


def _table_row(old: Sequence[str] | None, new: Sequence[str] | None, number: int, *, columns: int) -> TableRow:
    kind = "added" if old is None else "removed" if new is None else "changed"
    cells = []
    for column in range(columns):
        before = old[column] if old is not None and column < len(old) else ""
        after = new[column] if new is not None and column < len(new) else ""
        cells.append((_shortened(before), _shortened(after), before != after))
    return TableRow(kind=kind, number=number, cells=tuple(cells))


def _table(text: str) -> list[list[str]]:
    heading = text.partition("\n")[0]
    delimiter = max(",;\t|", key=heading.count)
    try:
        return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error:
        return []
