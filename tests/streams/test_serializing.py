"""Values of Django in events: what is kept, what is read, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import models
from django.utils.translation import gettext_lazy

from consistent_s3.streams import Event, InvalidEventError, NewEvent


class Colour(models.TextChoices):
    RED = "red"


class Size(models.IntegerChoices):
    LARGE = 3


VALUES = {
    "decimal": (Decimal("12.50"), "12.50"),
    "uuid": (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    "time": (datetime(2026, 11, 21, 12, 30, 15, 123456, UTC), "2026-11-21T12:30:15.123Z"),
    "date": (date(2026, 11, 21), "2026-11-21"),
    "duration": (timedelta(hours=1), "P0DT01H00M00S"),
    "lazy text": (gettext_lazy("paid"), "paid"),
    "text choice": (Colour.RED, "red"),
    "integer choice": (Size.LARGE, 3),
    "tuple": ((1, (2, Decimal(3))), [1, [2, "3"]]),
    "nested": ({Colour.RED: [Decimal("0.1")]}, {"red": ["0.1"]}),
    "plain": ({"a": [1, 1.5, True, None, "ü"]}, {"a": [1, 1.5, True, None, "ü"]}),
}


@pytest.mark.parametrize(("value", "kept"), VALUES.values(), ids=VALUES)
def test_value_is_shown_at_once_as_it_is_read_later(events, value, kept):
    new = NewEvent(type="Priced", data={"value": value}, metadata={"value": value})

    appended = events.append("order", "7", [new], expected_version=0)

    assert (appended.events[0].data, appended.events[0].metadata) == ({"value": kept}, {"value": kept})
    assert list(events.read("order", "7")) == list(appended.events)


def itself() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


REFUSED = {
    "set": ({"a": {1}}, "Event 1 (Priced): data cannot be serialized: Object of type set is not JSON serializable."),
    "number as a key": ({"a": {1: 2}}, "Event 1 (Priced): data['a'] has the key 1, of type int."),
    "not a number": ({"a": float("nan")}, "Event 1 (Priced): data['a'] is nan, which JSON cannot hold."),
    "too large": ({"a": 2**63}, "Event 1 (Priced): data['a'] is a number beyond 64 bits."),
    "in itself": (itself(), "Event 1 (Priced): data cannot be serialized: it is too deep, or contains itself."),
}


@pytest.mark.parametrize(("value", "said"), REFUSED.values(), ids=REFUSED)
def test_value_that_cannot_be_kept_is_refused_with_its_place(events, value, said):
    with pytest.raises(InvalidEventError) as caught:
        events.append("order", "7", [NewEvent(type="Priced", data=value)], expected_version=0)

    assert str(caught.value).startswith(said)
    assert events.version("order", "7") == 0


def test_state_with_values_that_come_back_as_texts_is_refused_with_snapshots_only(events):
    events.append("order", "7", [NewEvent(type="Priced", data=Decimal("12.50"))], expected_version=0)

    def total(state: Decimal, event: Event) -> Decimal:
        return state + Decimal(event.data)

    with pytest.raises(InvalidEventError, match="is of type Decimal, and would be read back as of type str"):
        events.state("order", "7", total, Decimal(0), schema_version=1)
    folded = events.state("order", "7", total, Decimal(0), schema_version=1, snapshot_every=None)

    assert folded.state == Decimal("12.50")
