"""`manage.py consistent_s3 rewind`: what it prints, what it changes, and how it ends."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.utils import timezone

from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing.aging import age
from tests.archive.models import Contract

pytestmark = pytest.mark.django_db

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
FAILED = "Not everything can be brought back; see above. Running it again is safe."
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def zone(settings: Any) -> None:
    """Be where clocks are never changed, so that every moment has a time of its own."""
    settings.TIME_ZONE = "Asia/Kolkata"


@pytest.fixture(params=["listing", "database"])
def storage(request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]) -> ConsistentS3Storage:
    """Configure the default storage, in which one name was replaced and one made since two hours ago."""
    options = {**storage_options, "index": request.param}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
    storage = storages["default"]
    for name in ("a.txt", "b.txt"):
        storage.write(name, ContentFile(b"as it was"))
    age(storage, 2 * HOUR)
    storage.write("a.txt", ContentFile(b"by a bad import"))
    storage.write("c.txt", ContentFile(b"new"))
    age(storage, HOUR)
    return storage


@pytest.fixture
def moment(storage: ConsistentS3Storage) -> str:
    """Return the moment in between, as the command takes it, in the project's time zone."""
    return f"{timezone.localtime(storage.archive.clock.now() - 2 * HOUR):%Y-%m-%dT%H:%M:%S}"


def rewind(*arguments: str, refusal: str = "") -> tuple[str, str]:
    """Run the command and return what it wrote as text and as errors."""
    out, errors = io.StringIO(), io.StringIO()
    if refusal:
        with pytest.raises(CommandError) as caught:
            call_command("consistent_s3", "rewind", *arguments, stdout=out, stderr=errors, no_color=True)
        assert str(caught.value) == refusal
    else:
        call_command("consistent_s3", "rewind", *arguments, stdout=out, stderr=errors, no_color=True)
    return plain(out.getvalue()), plain(errors.getvalue())


def plain(text: str) -> str:
    return text.replace("\xa0", " ")


def read(storage: ConsistentS3Storage, name: str) -> bytes | None:
    return storage.open(name).read() if storage.exists(name) else None


def shown(moment: str) -> str:
    """Return the moment as the command tells it."""
    aware = timezone.make_aware(timezone.datetime.fromisoformat(moment))
    return f"{aware:%Y-%m-%d %H:%M:%S %Z}"


def test_without_yes_it_says_what_would_be_done_and_changes_nothing(storage, moment):
    said, errors = rewind("--to", moment, "--name", "*")

    lines = said.splitlines()
    assert lines[0] == f"As it was at {shown(moment)}; nothing is changed, this is a dry run. Do it with --yes."
    assert sorted(lines[1:-1]) == [
        "  would delete    c.txt  version 1 (3 bytes)  (it did not exist then)",
        "  would restore   a.txt  version 1 (9 bytes) over version 2 (15 bytes)  (it was replaced since)",
    ]
    assert lines[-1] == (
        "3 looked at: 1 would be restored, 1 would be deleted, 1 as they were, 0 cannot be brought back, 0 failed"
    )
    assert errors == ""
    assert read(storage, "a.txt") == b"by a bad import"
    assert rewind("--to", moment, "--name", "*", "--dry-run") == (said, errors)


def test_with_yes_it_is_done_and_once_more_changes_nothing(storage, moment):
    said, _ = rewind("--to", moment, "--name", "*", "--yes")
    again, _ = rewind("--to", moment, "--name", "*", "--yes", "-v", "2")

    assert "  restored        a.txt  version 1 (9 bytes) over version 2 (15 bytes)  (it was replaced since)" in said
    assert [read(storage, name) for name in ("a.txt", "b.txt", "c.txt")] == [b"as it was", b"as it was", None]
    newest = next(storage.history("a.txt"))
    assert (newest.author, newest.comment) == ("manage.py", f"as it was at {shown(moment)}")
    assert sorted(again.splitlines()) == [
        "  stays           a.txt  version 3 (9 bytes)  (it has the same bytes again)",
        "  stays           b.txt  version 1 (9 bytes)  (it is as it was)",
        "  stays           c.txt  version 2 (deletion)  (it did not exist then, and is deleted now)",
        "3 looked at: 0 restored, 0 deleted, 3 as they were, 0 cannot be brought back, 0 failed",
    ]


def test_author_and_comment_can_be_given(storage, moment):
    rewind("--to", moment, "--name", "a.txt", "--yes", "--author", "ann", "--comment", "bad import")

    newest = next(storage.history("a.txt"))
    assert (newest.author, newest.comment) == ("ann", "bad import")
    assert read(storage, "c.txt") == b"new"


def test_json_tells_the_same(storage, moment):
    said, _ = rewind("--to", moment, "--name", "a.txt", "--name", "b.txt", "--json")
    done, _ = rewind("--to", moment, "--name", "a.txt", "--yes", "--json")

    told = json.loads(said)
    assert told["dry_run"] is True
    assert timezone.datetime.fromisoformat(told["moment"]) == timezone.make_aware(
        timezone.datetime.fromisoformat(moment)
    )
    assert told["counts"] == {"nothing": 1, "restore": 1}
    assert told["steps"][0] == {
        "storage": "default",
        "name": "a.txt",
        "action": "restore",
        "why": "it was replaced since",
        "now": 2,
        "then": 1,
        "collected": None,
        "written": None,
        "error": "",
        "conflict": False,
    }
    assert [step["written"] for step in json.loads(done)["steps"]] == [3]


def test_what_cannot_be_brought_back_ends_with_an_error_and_keeps_nothing_else_from_it(storage, moment):
    said, _ = rewind("--to", moment, "--name", "a.txt", "--name", "never.txt", "--yes", refusal=FAILED)

    assert "  cannot          never.txt  no version  (it was never written, or nothing is left of it)" in said
    assert "1 restored" in said
    assert "1 cannot be brought back" in said
    assert read(storage, "a.txt") == b"as it was"


def test_what_fails_is_told_with_its_reason(storage, moment):
    said, errors = rewind("--to", moment, "--name", "a.txt", "--yes", "--comment", "x" * 1001, refusal=FAILED)

    assert said.splitlines()[0].startswith("  failed          a.txt")
    assert errors == "  a.txt: The comment takes 1001 bytes when encoded; 1000 is the most. Shorten it.\n"


def test_rows_of_a_model_get_their_files_and_pins_back(storage):
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"signed"))
    age(storage, 2 * HOUR)
    contract.file.save("lease.txt", ContentFile(b"wrong"))
    age(storage, HOUR)
    moment = f"{storage.archive.clock.now() - 2 * HOUR:%Y-%m-%dT%H:%M:%S+00:00}"

    dry, _ = rewind("--to", moment, "--model", "archive.Contract")
    none, _ = rewind("--to", moment, "--model", "archive.Contract", "--name", "other/*", "--yes")
    said, _ = rewind("--to", moment, "--model", "archive.Contract", "--yes", "--json")

    where = f"archive.Contract {contract.pk}: contracts/lease.txt"
    assert f"  would restore   {where}  version 1 (6 bytes) over version 2 (5 bytes)  (it was replaced since)" in dry
    assert none.startswith("0 looked at")
    (step,) = json.loads(said)["steps"]
    assert (step["model"], step["pk"], step["field"]) == ("archive.Contract", contract.pk, "file")
    contract.refresh_from_db()
    assert (contract.file.read(), contract.file_version) == (b"signed", 3)


REFUSALS = [
    pytest.param(
        [],
        "Say what is to be brought back: --name PATTERN, or --model app.Model. --name '*' is all.",
        id="nothing named",
    ),
    pytest.param(
        ["--name", "a.txt", "--storage", "nowhere"],
        "'nowhere' is no storage that keeps versions. STORAGES has these: 'default'.",
        id="no storage",
    ),
    pytest.param(
        ["--model", "archive.Contract", "--storage", "default"],
        "--storage goes with names. The files of rows lie where their fields say: leave it out.",
        id="rows of a storage",
    ),
    pytest.param(
        ["--model", "archive.Nothing"],
        "There is no model 'archive.Nothing': App 'archive' doesn't have a 'Nothing' model. Give it as app.Model.",
        id="no model",
    ),
    pytest.param(
        ["--model", "auth.User"],
        "auth.User has no VersionedFileField, so its files have no history.",
        id="no files",
    ),
]


@pytest.mark.parametrize(("arguments", "refusal"), REFUSALS)
def test_what_makes_no_sense_is_refused(default_storage, arguments, refusal):
    rewind("--to", "2026-01-01T14:00", *arguments, refusal=refusal)


@pytest.mark.parametrize(
    ("time", "why"),
    [
        pytest.param("tuesday", "'tuesday': It is no time.", id="a word"),
        pytest.param("2026-03-29T02:30", "it may be ambiguous or it may not exist.", id="skipped in spring"),
        pytest.param("2025-10-26T02:30", "it may be ambiguous or it may not exist.", id="twice in autumn"),
    ],
)
def test_a_time_that_is_none_or_two_is_refused(default_storage, settings, time, why):
    settings.TIME_ZONE = "Europe/Berlin"

    with pytest.raises(CommandError) as caught:
        call_command("consistent_s3", "rewind", "--to", time, "--name", "*")

    assert why in str(caught.value)
    assert "Give it as 2026-11-17T14:00, or 2026-11-17T14:00+01:00." in str(caught.value)


def test_a_time_with_its_zone_is_taken_as_it_is(storage):
    moment = storage.archive.clock.now() - 2 * HOUR

    said, _ = rewind(
        "--to", f"{moment.astimezone(timezone.get_fixed_timezone(345)):%Y-%m-%dT%H:%M:%S}+05:45", "--name", "a.txt"
    )

    assert said.startswith(f"As it was at {timezone.localtime(moment):%Y-%m-%d %H:%M:%S %Z};")
    assert "would restore" in said


def test_a_moment_to_come_is_refused(default_storage):
    with pytest.raises(CommandError, match="has not come yet"):
        call_command("consistent_s3", "rewind", "--to", "2999-01-01T14:00", "--name", "*")


@pytest.mark.parametrize("storage", ["listing"], indirect=True)
def test_without_time_zones_a_time_is_that_of_the_project(storage, moment, settings):
    settings.USE_TZ = False

    said, _ = rewind("--to", moment, "--name", "a.txt")

    assert said.startswith(f"As it was at {moment.replace('T', ' ')} IST;")
    assert "would restore" in said


def test_of_several_storages_one_must_be_named(storage, moment, settings):
    other = {**settings.STORAGES["default"], "OPTIONS": {**settings.STORAGES["default"]["OPTIONS"], "location": "x"}}
    settings.STORAGES = {**settings.STORAGES, "other": other}

    rewind("--to", moment, "--name", "*", refusal="Say in which storage, with --storage: default, other.")
    said, _ = rewind("--to", moment, "--name", "*", "--storage", "other")

    assert "0 looked at" in said


def test_a_store_that_does_not_answer_ends_with_an_error(storage, moment, settings):
    options = {**settings.STORAGES["default"]["OPTIONS"], "bucket_name": "missing", "index": "listing"}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}

    with pytest.raises(CommandError, match="there is no bucket 'missing'"):
        rewind("--to", moment, "--name", "*")
