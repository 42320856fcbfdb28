"""What a page says of a collection that ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils.translation import override

from consistent_s3.collection_words import ending
from consistent_s3.models import CollectionRun

NOW = datetime(2026, 7, 14, 8, 30, tzinfo=UTC)
State = CollectionRun.State


def refused(ratio: float) -> CollectionRun:
    return CollectionRun(state=State.REFUSED, max_delete_ratio=ratio, planned={"deleted": 3000, "kept": 1000})


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        pytest.param(
            CollectionRun(state=State.STOPPED, stop_requested=True, message="kept for logs"),
            "Stopped on request. Everything else is left for the next collection.",
            id="on request",
        ),
        pytest.param(
            CollectionRun(state=State.STOPPED, stops_at=NOW, finished=NOW + timedelta(seconds=1), message="x"),
            "Its time was over. Everything else is left for the next collection.",
            id="after its time",
        ),
        pytest.param(
            CollectionRun(state=State.STOPPED, stops_at=NOW, finished=NOW - timedelta(1), max_objects=5, message="x"),
            "It was to stop after 5 objects. Everything else is left for the next collection.",
            id="after some objects",
        ),
        pytest.param(
            refused(0.5),
            "3,000 of 4,000 objects would go, more than 50 %. Nothing was deleted. Look at the plan. If it is what you "
            "want, run it for real; if not, correct the retention policy.",
            id="refused",
        ),
        pytest.param(CollectionRun(state=State.FAILED, message="Access denied."), "Access denied.", id="failed"),
        pytest.param(CollectionRun(state=State.DONE), "", id="done"),
    ],
)
def test_a_page_says_why_a_collection_ended(run, sentence):
    assert ending(run) == sentence


def test_numbers_and_words_are_those_of_the_language():
    with override("de"):
        said = ending(refused(0.125))

    assert said.startswith("3.000 von 4.000 Objekten würden gelöscht, mehr als 12,5\xa0%.")
