"""`manage.py consistent_s3 events`: what it prints, and how it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from consistent_s3.clients import shared_client
from consistent_s3.core.errors import UnreachableError
from consistent_s3.core.seams import SystemClock
from consistent_s3.streams import DamagedStreamError, Event, EventStore, NewEvent
from consistent_s3.streams.tailing import Tail, Told
from consistent_s3.testing import assert_requests
from tests.projects import environment, write_settings
from tests.streams.conftest import BACKEND, fill

FOLD = "tests.streams.conftest.add"


def run(*arguments: str, **options: Any) -> str:
    """Run an action and return what it wrote."""
    out = io.StringIO()
    call_command("consistent_s3", "events", *arguments, stdout=out, stderr=io.StringIO(), no_color=True, **options)
    return out.getvalue()


def fail(*arguments: str) -> tuple[str, str]:
    """Run an action that fails; return what it wrote, and the error."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("consistent_s3", "events", *arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue(), str(caught.value)


@pytest.fixture
def orders(events: EventStore, settings: Any) -> EventStore:
    """Return an event store with two orders of known times, and a fold."""
    settings.CONSISTENT_S3_STREAMS = {"order": {"fold": FOLD}}
    fill(events, "7", 5, 6)
    fill(events, "8", 1)
    return events


def fill_many(events: EventStore) -> None:
    """Append so much to a stream that it is worth to be compacted."""
    fill(events, "7", *range(12))


# show


def test_show_lists_types_streams_and_events(orders):
    fill(orders, "Müller", 1, stream_type="customer")

    assert run("show") == "customer\norder\n"
    assert run("show", "customer") == "customer/Müller\n"
    lines = run("show", "order/7").splitlines()
    assert [line.split("  ")[:2] for line in lines] == [["order/7", "1"], ["order/7", "2"]]
    assert lines[1].endswith('  Paid  {"amount": 6}')


def test_show_takes_a_range(orders):
    assert [line.split("  ")[1] for line in run("show", "order/7", "--backwards", "--limit=1").splitlines()] == ["2"]
    assert [line.split("  ")[1] for line in run("show", "order/7", "--after=1").splitlines()] == ["2"]
    assert [line.split("  ")[1] for line in run("show", "order/7", "--until=1").splitlines()] == ["1"]


def test_show_as_json_is_one_value_a_line(orders):
    [event] = orders.read("order", "8")

    assert json.loads(run("show", "order/8", "--json")) == {
        "stream": "order/8",
        "position": 1,
        "id": str(event.id),
        "type": "Paid",
        "time": event.time.isoformat(),
        "data": {"amount": 1},
        "metadata": {},
    }
    assert run("show", "--json") == '"order"\n'


def test_show_state_folds_and_writes_nothing(orders, storage):
    with assert_requests(storage, LIST=2, GET=2):
        shown = run("show", "order/7", "--state")

    assert shown == 'order/7  2  {"paid": 11, "last": "Paid"}\n'
    assert json.loads(run("show", "order/7", "--state", "--json")) == {
        "stream": "order/7",
        "version": 2,
        "state": {"paid": 11, "last": "Paid"},
    }


def a_set(state: Any, event: Event) -> Any:
    return {1, 2}


def not_a_number(state: Any, event: Event) -> Any:
    return {"average": float("nan")}


def failing(state: Any, event: Event) -> Any:
    return state["no\x1b[2J such\nkey"]


FOLDS = {
    "set": (a_set, "default: The state cannot be serialized: Object of type set is not JSON serializable. "),
    "not a number": (not_a_number, "default: The state['average'] is nan, which JSON cannot hold. "),
    "failing": (failing, "'order/7' has no state: its fold failed at event 1: KeyError: 'no\\x1b[2J such\\nkey'"),
}


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize(("fold", "said"), FOLDS.values(), ids=FOLDS)
def test_state_that_cannot_be_shown_is_told(orders, settings, fold, said: str, options: list[str]):
    settings.CONSISTENT_S3_STREAMS = {"order": {"fold": fold}}

    out, error = fail("show", "order/7", "--state", *options)

    assert (out, error[: len(said)]) == ("", said)


@pytest.mark.parametrize(
    "arguments",
    [["show", "order/7"], ["compact"], ["compact", "order/7"], ["tail"]],
    ids=["show", "compact", "compact one", "tail"],
)
def test_nothing_that_a_terminal_obeys_is_told_by_an_error(orders, monkeypatch, arguments: list[str]):
    """Whatever the words of the store and of the bucket are."""

    def damaged(*_: Any, **__: Any) -> Any:
        raise DamagedStreamError("It says \x1b[2J\n and \x9b1m.")

    monkeypatch.setattr(EventStore, "read", damaged)
    monkeypatch.setattr(EventStore, "compact", damaged)
    fill_many(orders)

    out, error = fail(*arguments)

    assert "It says \\u001b[2J  and \\u009b1m." in out + error
    assert (out + error).replace("\n", "").isprintable()


def test_nothing_that_a_terminal_obeys_is_printed(orders):
    orders.append("order", "9", [NewEvent(type="Paid", data={"a": "\x1b[2J\x9b1m\u202eü"})], expected_version=0)

    assert run("show", "order/9").endswith('{"a": "\\u001b[2J\\u009b1m\\u202eü"}\n')


WRONG = {
    "no such stream": (["show", "order/1"], "There is no stream 'order/1'. See `events show order`."),
    "no id": (["show", "order/"], "The id of a stream is empty. Give it at least one character."),
    "no fold": (
        ["show", "customer/1", "--state"],
        "Nothing says how streams of type 'customer' are folded. Name it in CONSISTENT_S3_STREAMS.",
    ),
    "no such storage": (["show", "--storage=lost"], "lost: STORAGES has no 'lost'. It has 'default', 'staticfiles'."),
    "no stream": (
        ["tail", "order"],
        "Error: argument TYPE/ID: 'order' is no stream. Write TYPE/ID, as order/7.",
    ),
    "no count": (["tail", "-n", "-1"], "Error: argument -n/--lines: '-1' is no whole number from 0."),
    "no seconds": (
        ["tail", "--every", "0"],
        "Error: argument --every: '0' is no number of seconds from 0.1 to 86400.",
    ),
    "no class": (
        ["compact", "order/7", "--storage-class=GLACIER"],
        (
            "default: storage_class is 'GLACIER', whose objects cannot be read at once, and streams are read from "
            "their beginning. Choose another, for example 'GLACIER_IR'."
        ),
    ),
    "no class for all": (
        ["compact", "--storage-class=no such"],
        (
            "default: storage_class is 'no such', which is no storage class. Their names are words of capital letters, "
            "for example 'STANDARD_IA'."
        ),
    ),
    "no events in a chunk": (
        ["compact", "--most=0"],
        "default: most is 0. Let a chunk cover 2 to 10000 events.",
    ),
    "types in a range": (
        ["show", "--after=1"],
        "--after means nothing where no stream TYPE/ID is named. Leave it out.",
    ),
    "streams with a limit": (
        ["show", "order", "--limit=1"],
        "--limit means nothing where no stream TYPE/ID is named. Leave it out.",
    ),
    "state of a type": (
        ["show", "order", "--state"],
        "--state means nothing where no stream TYPE/ID is named. Leave it out.",
    ),
    "state in a range": (
        ["show", "order/7", "--state", "--backwards"],
        "--backwards means nothing with --state, which folds all events. Leave it out.",
    ),
    "streams of a type": (
        ["tail", "order/7", "--type=order"],
        "--type means nothing where streams are named. Leave it out.",
    ),
    "compact streams of a type": (
        ["compact", "order/7", "--type=order"],
        "--type means nothing where streams are named. Leave it out.",
    ),
    "compact streams for a time": (
        ["compact", "order/7", "--max-seconds=0"],
        "--max-seconds means nothing where streams are named. Leave it out.",
    ),
    "verify streams of a type": (
        ["verify", "order/7", "--type=order"],
        "--type means nothing where streams are named. Leave it out.",
    ),
    "version of no fold": (
        ["verify", "--schema-version=2"],
        "--schema-version means nothing without --fold. Leave it out.",
    ),
    "bad type": (
        ["tail", "--type=a/b"],
        (
            "default: The type of a stream 'a/b' contains '/', but is one segment of a key. Replace it, for example "
            "by '-'."
        ),
    ),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_mistake_is_told(orders, arguments: list[str], said: str):
    assert fail(*arguments)[1] == said


def test_ended_stream_is_told(orders):
    orders.tombstone("order", "8")

    assert fail("show", "order/8")[1].startswith("default: Stream 'order/8' was ended by a tombstone after event 1.")


# tail


def test_tail_shows_the_last_events(orders):
    assert [line.split("  ")[:2] for line in run("tail", "order/7", "-n", "1").splitlines()] == [["order/7", "2"]]
    assert len(run("tail").splitlines()) == 3
    assert len(run("tail", "--type=order", "-n2").splitlines()) == 2
    assert run("tail", "--type=customer") == ""


def test_tail_goes_on_where_the_store_does_not_answer(orders, monkeypatch):
    looks = iter([UnreachableError("No answer\x1b[2J."), None, UnreachableError("Again."), KeyboardInterrupt()])

    def look(self: Tail) -> Iterator[Told]:
        happens = next(looks)
        if happens is not None:
            raise happens
        fill(orders, "8", 9)
        yield from real(self)

    real = Tail.next
    monkeypatch.setattr(Tail, "next", look)
    monkeypatch.setattr(SystemClock, "sleep", lambda self, seconds: None)
    out, errors = io.StringIO(), io.StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command(
            "consistent_s3", "events", "tail", "order/8", "-n0", "-f", stdout=out, stderr=errors, no_color=True
        )

    assert [line.split("  ")[:2] for line in out.getvalue().splitlines()] == [["order/8", "2"]]
    assert (errors.getvalue(), ended.value.code) == ("No answer\\u001b[2J.\nAgain.\n", 130)


@pytest.mark.slow
def test_tail_follows_until_ctrl_c_and_ends_without_a_word(orders, storage_options, tmp_path: Path):
    options = {**storage_options, "location": "files"}
    write_settings(tmp_path, f"STORAGES['default'] = {{'BACKEND': '{BACKEND}', 'OPTIONS': {options!r}}}")
    command = [sys.executable, "-m", "django", "consistent_s3", "events", "tail", "order/7", "-f", "--every=0.1"]
    with subprocess.Popen(
        command,
        env={**environment(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        before = [process.stdout.readline().split("  ")[1] for _ in range(2)]
        fill(orders, "7", 7)
        after = process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        rest = process.communicate(timeout=30)

    assert (before, after.split("  ")[1], rest, process.returncode) == (["1", "2"], "3", ("", ""), 130)


# compact


def test_compact_covers_what_is_worth_it(orders):
    fill(orders, "9", *range(12))

    assert run("compact") == "3 streams looked at, 1 with chunks to cover: 11 covered by 1\n"
    assert run("compact") == "3 streams looked at, 0 with chunks to cover: 0 covered by 0\n"
    assert [event.data["amount"] for event in orders.read("order", "9")] == list(range(12))


def test_compact_of_a_stream_that_is_named_asks_not_whether_it_is_worth_it(orders):
    fill(orders, "7", 7)

    assert run("compact", "order/7") == "1 streams looked at, 1 with chunks to cover: 2 covered by 1\n"


def test_dry_run_of_compact_writes_nothing(orders, storage):
    fill(orders, "9", *range(12))

    with assert_requests(storage, LIST=2):
        shown = run("compact", "--dry-run", "--type=order")

    assert shown == (
        "  order/9: 11 chunks would be covered by 1\n"
        "3 streams looked at, 1 with chunks to cover: 11 would be covered by 1\n"
    )


def test_compact_as_json(orders):
    assert json.loads(run("compact", "--json")) == {
        "dry_run": False,
        "streams": 2,
        "compacted": 0,
        "covered": 0,
        "written": 0,
        "failures": {},
        "rest": "",
    }


def test_compact_stops_when_its_time_is_over(orders):
    assert run("compact", "--max-seconds=0").endswith("The time was over. Run it again for the rest.\n")


# verify


def test_verify_says_that_all_is_well(orders):
    for _ in range(2):
        fill(orders, "7", *range(60), each=60)
    orders.compact("order", "7")

    assert run("verify") == "2 streams with 123 events verified, 2 sound\n"
    assert run("verify", "order/8", verbosity=2) == (
        "order/8: sound, 1 events in 1 chunks, 0 snapshots\n1 streams with 1 events verified, 1 sound\n"
    )


def test_verify_finds_damage_and_ends_with_an_error(orders, storage):
    fill(orders, "9", 1, 2, 3)
    [_, second, _] = orders.chunks("order", "9")
    shared_client(storage).delete_object(Bucket=storage.bucket_name, Key=second.key)

    assert fail("verify") == (
        (
            "order/9: not sound\n  Event 2 is gone: no chunk has it. Restore the object from a backup.\n"
            "3 streams with 6 events verified, 2 sound\n"
        ),
        "1 streams are not as they should be; see above.",
    )
    out, _ = fail("verify", "order/9", "--json")
    assert json.loads(out) == {
        "stream": "order/9",
        "version": 3,
        "chunks": 2,
        "snapshots": 0,
        "ended": False,
        "problems": ["Event 2 is gone: no chunk has it. Restore the object from a backup."],
    }


def test_verify_compares_snapshots_with_the_fold_of_the_settings_or_another(orders):
    fold = {"schema_version": 1, "snapshot_every": 1}
    orders.state("order", "7", lambda state, event: {"wrong": event.position}, {}, **fold)

    assert "is not what folding gives" in fail("verify", "order/7")[0]
    assert run("verify", "order/7", f"--fold={FOLD}", "--schema-version=2") == (
        "1 streams with 2 events verified, 1 sound\n"
    )
    assert "is not what folding gives" in fail("verify", "order/7", f"--fold={FOLD}")[0]


def test_verify_of_a_stream_that_is_none_ends_with_an_error(orders):
    assert fail("verify", "order/1")[0].startswith("order/1: not sound\n  There is no stream 'order/1'.\n")


def test_options_of_every_command_are_taken_after_the_action(orders):
    assert run("show", "--no-color", "--skip-checks") == "order\n"
