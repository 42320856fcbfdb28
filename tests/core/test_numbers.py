from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistent_s3.core.numbers import MAX_NUMBER, Numbering, from_digits, next_number, read_number, to_digits

NUMBERS = st.integers(min_value=1, max_value=MAX_NUMBER)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_NUMBER = 1_767_268_800_000_000


@given(NUMBERS)
def test_number_survives_the_round_trip_through_digits(number: int) -> None:
    assert from_digits(to_digits(number)) == number


@given(NUMBERS, NUMBERS)
def test_greater_number_sorts_first(one: int, other: int) -> None:
    assert (to_digits(one) < to_digits(other)) == (one > other)


@pytest.mark.parametrize(
    ("number", "digits"),
    [(1, "9999999999999999998"), (7, "9999999999999999992"), (MAX_NUMBER, "0776627963145224192")],
)
def test_digits_are_the_public_layout(number: int, digits: str) -> None:
    assert to_digits(number) == digits


@pytest.mark.parametrize("number", [0, -1, MAX_NUMBER + 1])
def test_number_out_of_range_has_no_digits(number: int) -> None:
    with pytest.raises(ValueError, match="is no version number") as refused:
        to_digits(number)

    assert str(refused.value) == f"{number} is no version number. Numbers run from 1 to 9223372036854775807."


@pytest.mark.parametrize(
    "digits",
    [
        pytest.param("9999999999999999999", id="number-zero"),
        pytest.param("0000000000000000000", id="more-than-63-bits"),
        pytest.param("999999999999999999", id="18-digits"),
        pytest.param("99999999999999999998", id="20-digits"),
        pytest.param("+999999999999999998", id="sign"),
        pytest.param("９999999999999999998", id="digit-of-another-script"),
        pytest.param("", id="empty"),
    ],
)
def test_what_was_not_written_as_digits_is_no_number(digits: str) -> None:
    assert from_digits(digits) is None


@pytest.mark.parametrize(
    ("numbering", "newest", "expected"),
    [
        pytest.param(Numbering.SEQUENCE, 0, 1, id="sequence-first"),
        pytest.param(Numbering.SEQUENCE, 7, 8, id="sequence-next"),
        pytest.param(Numbering.SEQUENCE, NOON_NUMBER, NOON_NUMBER + 1, id="sequence-after-clock"),
        pytest.param(Numbering.CLOCK, 0, NOON_NUMBER, id="clock-first"),
        pytest.param(Numbering.CLOCK, 7, NOON_NUMBER, id="clock-after-sequence"),
        pytest.param(Numbering.CLOCK, NOON_NUMBER, NOON_NUMBER + 1, id="clock-same-microsecond"),
        pytest.param(Numbering.CLOCK, NOON_NUMBER + 10**9, NOON_NUMBER + 10**9 + 1, id="slow-clock"),
    ],
)
def test_next_number_is_greater_than_the_newest(numbering: Numbering, newest: int, expected: int) -> None:
    assert next_number(newest, numbering=numbering, now=NOON) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("0", 0, id="zero"),
        pytest.param("0017", 17, id="leading-zeros"),
        pytest.param(str(MAX_NUMBER), MAX_NUMBER, id="greatest"),
        pytest.param(str(MAX_NUMBER + 1), None, id="more-than-63-bits"),
        pytest.param("9" * 5000, None, id="5000-digits"),
        pytest.param("", None, id="empty"),
        pytest.param("-1", None, id="sign"),
        pytest.param("1_0", None, id="underscore"),
        pytest.param("１", None, id="digit-of-another-script"),
    ],
)
def test_a_number_that_somebody_wrote_is_read_or_it_is_none(text: str, number: int | None) -> None:
    assert read_number(text) == number
