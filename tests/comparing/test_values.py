"""JSON is compared by keys and tables by rows; what is no such thing is neither."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistent_s3.comparing.values import (
    CHANGES,
    COLUMNS,
    VALUE,
    ValueChange,
    compare_json,
    compare_tables,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=2), inner, max_size=3),
    max_leaves=12,
)


def exact(value: object) -> str:
    return json.dumps(value, sort_keys=True)


@given(VALUES, VALUES)
def test_documents_have_changes_exactly_if_they_differ(old, new):
    changes = compare_json(json.dumps(old), json.dumps(new))

    assert bool(changes.changes) == (exact(old) != exact(new))


@given(VALUES, VALUES)
def test_every_place_is_named_once_in_what_is_there_and_once_in_what_is_gone(old, new):
    changes = compare_json(json.dumps(old), json.dumps(new)).changes

    for gone in (True, False):
        places = [change.where for change in changes if (change.kind == "removed") is gone]
        assert len(places) == len(set(places))


def test_changes_name_the_path_and_both_values():
    old = {"name": "Ann", "address": {"lines": ["a", "b"]}, "age": 7}
    new = {"name": "Bob", "address": {"lines": ["a", "c"], "zip": "1"}}

    changes = compare_json(json.dumps(old), json.dumps(new))

    assert changes.changes == (
        ValueChange(kind="changed", where="name", old='"Ann"', new='"Bob"'),
        ValueChange(kind="changed", where="address.lines[1]", old='"b"', new='"c"'),
        ValueChange(kind="added", where="address.zip", new='"1"'),
        ValueChange(kind="removed", where="age", old="7"),
    )
    assert not changes.cut


def test_an_item_put_in_at_the_front_is_the_only_change():
    changes = compare_json("[1, 2, 3]", "[0, 1, 2, 3]")

    assert changes.changes == (ValueChange(kind="added", where="[0]", new="0"),)


def test_a_key_with_dots_is_no_path():
    changes = compare_json('{"a.b": 1, "a": {"b": 1}}', '{"a.b": 2, "a": {"b": 2}}').changes

    assert [change.where for change in changes] == ['["a.b"]', "a.b"]


@pytest.mark.parametrize(("old", "new"), [("1", "true"), ("1", "1.0"), ('"NaN"', "NaN"), ("0", "null")])
def test_values_that_python_takes_for_equal_or_alike_are_other_values(old, new):
    assert len(compare_json(old, new).changes) == 1


def test_nan_is_what_it_was():
    assert compare_json('{"a": NaN}', '{"a":NaN}').changes == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "9" * 5_000,
        '{"a": 1, "a": 2}',
        "[" * 100_000,
        "[" * 900 + "]" * 900 + "x",
        "\ufeff{}",
    ],
    ids=["empty", "broken", "huge number", "a key twice", "deep and broken", "rest", "mark"],
)
def test_what_is_no_plain_document_is_not_compared_by_keys(text):
    assert compare_json(text, "{}") is None
    assert compare_json("{}", text) is None


@pytest.mark.parametrize("depth", [49, 60, 900, 5_000, 100_000])
def test_deep_documents_are_compared_or_refused(depth):
    deep = "[" * depth + "%s" + "]" * depth

    changes = compare_json(deep % 1, deep % 2)

    assert changes is None or len(changes.changes) == 1


def test_half_of_a_surrogate_pair_can_be_sent_to_a_browser():
    changes = compare_json('{"\\ud800": "\\udfff"}', '{"\\ud800": 1, "\\udc00": 2}')

    assert "".join(change.where + change.old + change.new for change in changes.changes).encode()


def test_only_so_many_changes_are_shown():
    many = compare_json(json.dumps(list(range(CHANGES + 1))), "[]")
    enough = compare_json(json.dumps(list(range(CHANGES))), "[]")

    assert (len(many.changes), many.cut) == (CHANGES, True)
    assert (len(enough.changes), enough.cut) == (CHANGES, False)


def test_a_long_value_is_shown_in_part():
    (change,) = compare_json('{"a": 1}', json.dumps({"a": "x" * 10_000})).changes

    assert change.new == '"' + "x" * (VALUE - 1) + "…"


TABLE = "id,name\n1,ann\n2,bob\n3,cid\n"


def test_rows_are_changed_added_and_removed():
    changes = compare_tables(TABLE, "id,name\n1,ann\n2,bert\n4,dora\n3,cid\n")

    assert changes.heading == ("id", "name")
    assert [(row.kind, row.number) for row in changes.rows] == [("changed", 2), ("added", 3)]
    assert changes.rows[0].cells == (("2", "2", False), ("bob", "bert", True))
    assert (changes.unchanged, changes.cut) == (2, False)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_that_of_the_heading(delimiter):
    old = TABLE.replace(",", delimiter)

    (row,) = compare_tables(old, old + f"4{delimiter}dora\n").rows

    assert row.cells == (("", "4", True), ("", "dora", True))


@pytest.mark.parametrize(
    "other",
    ["", "id\n1\n", "id,age\n1,2\n", "\n\n", "id," + "x" * 200_000, ",".join(["x"] * (COLUMNS + 1))],
    ids=["empty", "one column", "another heading", "blank", "huge cell", "many columns"],
)
def test_what_is_no_table_with_the_same_heading_is_not_compared_by_rows(other):
    assert compare_tables(TABLE, other) is None
    assert compare_tables(other, TABLE) is None
    assert other == "id,age\n1,2\n" or compare_tables(other, other) is None


def test_a_cell_beyond_the_heading_is_not_lost():
    changes = compare_tables(TABLE, TABLE.replace("2,bob", "2,bob,secret"))

    assert changes.heading == ("id", "name", "")
    assert changes.rows[0].cells[2] == ("", "secret", True)


def test_quoted_cells_may_have_lines_and_delimiters():
    (row,) = compare_tables('id,name\n1,"a\nb"\n', 'id,name\n1,"a,\nb"\n').rows

    assert row.cells[1] == ("a\nb", "a,\nb", True)


def test_only_so_many_rows_are_shown():
    changes = compare_tables("id,name\n", "id,name\n" + "1,x\n" * (CHANGES + 1))

    assert (len(changes.rows), changes.cut) == (CHANGES, True)


@given(
    st.lists(st.tuples(st.text('ab,"\n', max_size=3), st.text("ab", min_size=1, max_size=2)), max_size=6),
    st.lists(st.tuples(st.text('ab,"\n', max_size=3), st.text("ab", min_size=1, max_size=2)), max_size=6),
)
def test_every_row_of_both_tables_is_unchanged_or_shown(olds, news):
    changes = compare_tables(table(olds), table(news))

    counted = [changes.unchanged + sum(row.kind != gone for row in changes.rows) for gone in ("added", "removed")]
    assert counted == [len(olds), len(news)]
    assert bool(changes.rows) == (olds != news)
    for row in changes.rows:
        assert any(differs for _, _, differs in row.cells)


def table(rows: list[tuple[str, str]]) -> str:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    return "\n".join(["id,name", *quoted, ""])
