"""What the settings say of streams: their folds, and what is said of mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from consistent_s3.checks import check_streams
from consistent_s3.streams import stream_kind, stream_state
from consistent_s3.testing import assert_requests
from tests.streams.conftest import add, fill

FOLD = "tests.streams.conftest.add"


@pytest.fixture
def orders(settings: Any) -> None:
    settings.CONSISTENT_S3_STREAMS = {"order": {"fold": FOLD, "initial": {"paid": 0}, "schema_version": 2}}


def test_state_is_folded_as_the_settings_say(orders, events):
    fill(events, "7", 5, 6)

    folded = stream_state("order", "7")

    assert (folded.state, folded.version) == ({"paid": 11, "last": "Paid"}, 2)


def test_state_of_a_long_stream_is_kept_with_it(orders, events, storage):
    fill(events, "7", *[1] * 100, each=50)
    stream_state("order", "7")

    with assert_requests(storage, LIST=1, GET=1):
        folded = stream_state("order", "7")

    assert (folded.state["paid"], folded.folded) == (100, 0)


def test_state_of_no_events_is_the_initial_one(orders, events):
    assert stream_state("order", "7").state == {"paid": 0}


def test_type_that_nothing_is_said_of_has_no_state(orders, events):
    assert stream_kind("invoice") is None
    with pytest.raises(
        ImproperlyConfigured,
        match=r"Nothing is said of streams of type 'invoice'\. Name their fold in CONSISTENT_S3_STREAMS, or call "
        r"state\(\) of the event store with one\.",
    ):
        stream_state("invoice", "7")


def test_function_may_be_given_as_such(settings):
    settings.CONSISTENT_S3_STREAMS = {"order": {"fold": add}}

    kind = stream_kind("order")

    assert kind is not None
    assert (kind.fold, kind.initial, kind.schema_version, kind.snapshot_every) == (add, {}, 1, 100)


WHERE = "CONSISTENT_S3_STREAMS['order']"
MISTAKES = {
    "no dict": (["order"], "CONSISTENT_S3_STREAMS is ['order']. Give a dict of stream types."),
    "no dict of options": ({"order": FOLD}, f"{WHERE} is '{FOLD}'. Give a dict with 'fold'."),
    "typing error": ({"order": {"flod": FOLD}}, f"{WHERE} has no option 'flod'. Did you mean 'fold'?"),
    "no fold": ({"order": {}}, f"{WHERE} has no 'fold'. Name a function (state, event) -> state."),
    "no such fold": (
        {"order": {"fold": "tests.streams.conftest.subtract"}},
        (
            f'{WHERE}[\'fold\']: Module "tests.streams.conftest" does not define a "subtract" attribute/class. '
            "Name a function by its dotted path."
        ),
    ),
    "no function": (
        {"order": {"fold": "tests.streams.conftest.BACKEND"}},
        f"{WHERE}['fold'] is 'tests.streams.conftest.BACKEND', which is no function. Name a function (state, event).",
    ),
    "schema version": (
        {"order": {"fold": FOLD, "schema_version": 1.5}},
        f"{WHERE}['schema_version'] is 1.5. Give a whole number or a string.",
    ),
    "snapshot every": (
        {"order": {"fold": FOLD, "snapshot_every": 0}},
        f"{WHERE}['snapshot_every'] is 0. Give at least 1, or None.",
    ),
}


@pytest.mark.parametrize(("said", "answer"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told(settings, said, answer):
    settings.CONSISTENT_S3_STREAMS = said

    with pytest.raises(ImproperlyConfigured) as caught:
        stream_kind("order")

    assert str(caught.value) == answer
    [message] = check_streams()
    assert (message.msg, message.hint, message.id) == (
        answer,
        "Correct CONSISTENT_S3_STREAMS.",
        "consistent_s3.E013",
    )


def test_settings_without_mistakes_are_passed(orders, settings):
    assert check_streams() == []
    del settings.CONSISTENT_S3_STREAMS
    assert check_streams() == []
