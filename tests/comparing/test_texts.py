"""Text is compared by lines, changed lines by words, and what is not compared is said."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistent_s3.comparing.texts import (
    CONTEXT,
    LINE,
    LINES,
    SHOWN,
    Piece,
    Row,
    compare_texts,
    lines,
    match,
)

TEXTS = st.lists(st.text("ab ,\t\f\x85é", max_size=6), max_size=12).map("\n".join)


def joined(pieces: tuple[Piece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


def rebuilt(rows: tuple[Row, ...], olds: list[str], *, new: bool) -> list[str]:
    """Return a side's lines out of the rows; a gap's are taken from the older side."""
    found: list[str] = []
    at = 0
    for row in rows:
        if row.kind == "gap":
            found += olds[at : at + row.left_out]
            at += row.left_out
            continue
        if (row.new_number if new else row.old_number) is not None:
            assert (row.new_number if new else row.old_number) == len(found) + 1
            found.append(joined(row.new if new else row.old))
        at += row.old_number is not None
    return found


@given(TEXTS, TEXTS)
def test_both_sides_can_be_rebuilt_from_the_rows(old, new):
    changes = compare_texts(old, new)

    assert not changes.cut
    if changes.rows:
        assert rebuilt(changes.rows, lines(old), new=False) == lines(old)
        assert rebuilt(changes.rows, lines(old), new=True) == lines(new)
    else:
        assert lines(old) == lines(new)


@given(TEXTS, TEXTS)
def test_what_is_not_marked_is_the_same_on_both_sides(old, new):
    for row in compare_texts(old, new).rows:
        if row.kind == "changed":
            unmarked = [joined(tuple(one for one in side if not one.changed)) for side in (row.old, row.new)]
            assert unmarked[0] == unmarked[1]
            assert any(piece.changed for piece in (*row.old, *row.new))
        if row.kind in {"added", "removed"}:
            assert all(piece.changed for piece in (*row.old, *row.new))
        if row.kind in {"same", "gap"}:
            assert not any(piece.changed for piece in (*row.old, *row.new))


@given(TEXTS, TEXTS)
def test_added_and_removed_are_those_of_the_rows(old, new):
    changes = compare_texts(old, new)

    assert changes.removed == sum(row.kind in {"changed", "removed"} for row in changes.rows)
    assert changes.added == sum(row.kind in {"changed", "added"} for row in changes.rows)


@given(st.lists(st.integers(0, 3), max_size=30), st.lists(st.integers(0, 3), max_size=30), st.integers(1, 40))
def test_what_matches_is_equal_and_everything_is_covered(olds, news, most):
    matcher, cut = match(olds, news, most=most)

    at = (0, 0)
    for what, a, a_end, b, b_end in matcher.get_opcodes():
        assert (a, b) == at
        at = (a_end, b_end)
        if what == "equal":
            assert olds[a:a_end] == news[b:b_end]
    assert at == (len(olds), len(news))
    assert not (cut and max(len(olds), len(news)) <= most)


def test_words_are_marked_in_a_changed_line():
    (row,) = compare_texts("Rent: 900 a month", "Rent: 950 a month").rows

    assert row.old == (Piece(text="Rent: "), Piece(text="900", changed=True), Piece(text=" a month"))
    assert row.new == (Piece(text="Rent: "), Piece(text="950", changed=True), Piece(text=" a month"))


def test_lines_with_little_in_common_are_changed_as_a_whole():
    (row,) = compare_texts("abc def", "uvw,xyz").rows

    assert (row.old, row.new) == ((Piece(text="abc def", changed=True),), (Piece(text="uvw,xyz", changed=True),))


def test_unchanged_lines_are_left_out_but_for_the_context():
    old = "\n".join(str(number) for number in range(100))

    changes = compare_texts(old, old.replace("50", "fifty"))

    assert [row.kind for row in changes.rows] == ["gap", *["same"] * CONTEXT, "changed", *["same"] * CONTEXT, "gap"]
    assert (changes.rows[0].left_out, changes.rows[-1].left_out) == (47, 46)


@pytest.mark.parametrize(
    ("old", "new"),
    [("a\nb\n", "a\r\nb\r\n"), ("a\n", "a"), ("a\rb", "a\nb")],
    ids=["windows", "no end", "old mac"],
)
def test_texts_that_differ_in_line_ends_only_have_no_rows(old, new):
    assert compare_texts(old, new).rows == ()


def test_a_form_feed_or_a_line_separator_is_part_of_its_line():
    assert lines("a\fb\u2028c\x85d\n") == ["a\fb\u2028c\x85d"]


def test_more_changes_than_are_shown_are_cut_and_counted():
    changes = compare_texts("", "\n".join(str(number) for number in range(SHOWN + 1)))

    assert (len(changes.rows), changes.added, changes.cut) == (SHOWN, SHOWN + 1, True)


def test_exactly_as_many_changes_as_are_shown_are_not_cut():
    changes = compare_texts("", "\n".join(str(number) for number in range(SHOWN)))

    assert (len(changes.rows), changes.added, changes.cut) == (SHOWN, SHOWN, False)


def test_what_lies_behind_the_lines_that_are_compared_is_taken_for_changed_and_said():
    common = [str(number) for number in range(LINES + 10)]

    changes = compare_texts("\n".join(["x", *common, "x"]), "\n".join(["y", *common, "y"]))

    assert changes.cut
    assert changes.added == changes.removed == 13


def test_a_change_in_the_middle_of_a_huge_text_is_found_exactly():
    common = [str(number) for number in range(50_000)]

    changes = compare_texts("\n".join([*common, "x", *common]), "\n".join([*common, "y", *common]))

    assert (changes.added, changes.removed, changes.cut) == (1, 1, False)


def test_of_a_huge_line_the_surroundings_of_its_change_are_shown():
    (row,) = compare_texts("a" * 600_000 + "old" + "b" * 400_000, "a" * 600_000 + "new" + "b" * 400_000).rows

    assert len(joined(row.old)) <= LINE + 2
    assert "old" in joined(tuple(piece for piece in row.old if piece.changed))
    assert joined(row.old).startswith("…a")
    assert joined(row.new).endswith("b…")


def test_a_line_that_is_shown_in_part_is_said():
    assert compare_texts("a" * (LINE + 1), "").cut
    assert not compare_texts("a" * LINE, "").cut


HOSTILE = {
    "one line of words": ("a " * 500_000, "b a " * 250_000),
    "many lines of words": ("\n".join(["a b c d " * 24] * 5_000), "\n".join(["b a d c " * 24] * 5_000)),
    "all lines alike": ("a\n" * 500_000, "b\n" * 500_000),
    "empty lines": ("\n" * 1_000_000, "\na" * 500_000),
    "lines that repeat": (
        "\n".join(str(number % 100) for number in range(100_000)),
        "\n".join(str(-number % 101) for number in range(100_000)),
    ),
}


@pytest.mark.parametrize(("old", "new"), [pytest.param(*pair, id=word) for word, pair in HOSTILE.items()])
def test_a_megabyte_made_to_be_slow_is_compared_in_seconds_and_shown_in_part(old, new):
    begin = time.process_time()

    changes = compare_texts(old, new)

    assert time.process_time() - begin < 60
    assert changes.cut
    assert len(changes.rows) <= SHOWN
