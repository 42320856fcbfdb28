"""`manage.py consistent_s3 collect`: what it prints, and how it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from consistent_s3 import runs
from consistent_s3.clients import shared_client
from consistent_s3.management.commands.consistent_s3 import Command
from consistent_s3.models import CollectionRun
from consistent_s3.storage import ConsistentS3Storage
from tests.archive.models import Contract
from tests.projects import SECONDS, environment, run_django, run_python, write_settings
from tests.seeding import seed

pytestmark = pytest.mark.django_db

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
OLD = datetime.now(UTC) - timedelta(days=9)
FAILED = "Not everything could be collected; see above. Running it again is safe."


@pytest.fixture
def options(storage_options: dict[str, Any]) -> dict[str, Any]:
    return {**storage_options, "location": "files", "retention": {"keep_last": 1}}


@pytest.fixture
def storage(settings: Any, options: dict[str, Any]) -> ConsistentS3Storage:
    """Configure the default storage with three old versions of one name and one of another."""
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
    seed(storages["default"], "a.txt", [1, 2, 3], data=b"x" * 2048, modified=OLD)
    seed(storages["default"], "b.txt", [1], modified=OLD)
    return storages["default"]


@pytest.fixture
def archive(storage: ConsistentS3Storage, settings: Any, options: dict[str, Any]) -> ConsistentS3Storage:
    """Configure a second storage with two old versions of one name."""
    other = {"BACKEND": BACKEND, "OPTIONS": {**options, "location": "archive"}}
    settings.STORAGES = {**settings.STORAGES, "archive": other}
    seed(storages["archive"], "c.txt", [1, 2], modified=OLD)
    return storages["archive"]


@pytest.fixture
def missing(settings: Any, options: dict[str, Any]) -> str:
    """Configure a storage without a bucket; return what is said of it."""
    settings.STORAGES = {
        "missing": {"BACKEND": BACKEND, "OPTIONS": {**options, "bucket_name": "missing"}},
        **settings.STORAGES,
    }
    return (
        f"Cannot list 'files/': there is no bucket 'missing' at {options['endpoint_url']}. Create it, or correct "
        "bucket_name."
    )


def collect(*arguments: str, ends_well: bool = True, **options: Any) -> tuple[str, str]:
    """Run the command and return what it wrote as text and as errors."""
    out, errors = io.StringIO(), io.StringIO()
    if ends_well:
        call_command("consistent_s3", "collect", *arguments, stdout=out, stderr=errors, no_color=True, **options)
    else:
        with pytest.raises(CommandError) as caught:
            call_command("consistent_s3", "collect", *arguments, stdout=out, stderr=errors, no_color=True, **options)
        assert str(caught.value) == FAILED
    return plain(out.getvalue()), plain(errors.getvalue())


def plain(text: str) -> str:
    return text.replace("\xa0", " ")


def numbers(storage: ConsistentS3Storage, name: str) -> list[int]:
    return [version.number for version in storage.history(name)]


# Text


def test_collecting_tells_what_went_and_why_the_rest_stays(storage):
    said = collect()

    assert said == (
        (
            "default: 2 names, 4 keys; 2 deleted (4.0 KB), 2 stay\n"
            "         2  current\n"
            "         2  superseded, and no rule keeps it\n"
        ),
        "",
    )
    assert numbers(storage, "a.txt") == [3]


def test_a_dry_run_lists_what_would_go_and_deletes_nothing(storage):
    said = collect("--dry-run")

    assert said == (
        (
            "default: nothing is deleted, this is a dry run\n"
            "  would go  a.txt  version 2  2.0 KB  (superseded, and no rule keeps it)\n"
            "  would go  a.txt  version 1  2.0 KB  (superseded, and no rule keeps it)\n"
            "default: 2 names, 4 keys; 2 would go (4.0 KB), 2 stay\n"
            "         2  current\n"
            "         2  superseded, and no rule keeps it\n"
        ),
        "",
    )
    assert numbers(storage, "a.txt") == [3, 2, 1]


def test_more_verbosity_tells_the_fate_of_each_object(storage):
    said, _ = collect("-v", "2")

    assert said.splitlines()[:4] == [
        "  stays     a.txt  version 3  2.0 KB  (current)",
        "  goes      a.txt  version 2  2.0 KB  (superseded, and no rule keeps it)",
        "  goes      a.txt  version 1  2.0 KB  (superseded, and no rule keeps it)",
        "  stays     b.txt  version 1  1 byte  (current)",
    ]


def test_more_verbosity_tells_of_what_is_no_version(storage):
    storage.delete("b.txt")

    said, _ = collect("-v", "2", "--dry-run")

    assert "  stays     b.txt  body or hint  0 bytes  (the name is, or lately was, deleted)" in said.splitlines()


def test_all_storages_are_collected_unless_some_are_named(storage, archive):
    said, _ = collect("--storage", "archive")
    both, _ = collect("--storage", "archive", "--storage", "default")

    assert said == (
        "archive: 1 names, 2 keys; 1 deleted (1 byte), 1 stay\n"
        "         1  current\n"
        "         1  superseded, and no rule keeps it\n"
    )
    assert [line for line in both.splitlines() if ":" in line] == [
        "archive: 1 names, 1 keys; 0 deleted (0 bytes), 1 stay",
        "default: 2 names, 4 keys; 2 deleted (4.0 KB), 2 stay",
    ]


def test_a_version_that_a_row_points_to_is_told_as_such(storage):
    Contract.objects.create(file="a.txt", file_version=1)

    said, _ = collect()

    assert "         1  a row points to it\n" in said
    assert numbers(storage, "a.txt") == [3, 1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_how_far_it_is(storage):
    for name in range(1000):
        seed(storage, f"{name}.txt", [1, 2], modified=OLD)
    terminal = Terminal()

    call_command("consistent_s3", "collect", stdout=io.StringIO(), stderr=terminal, no_color=True)

    assert terminal.getvalue().split("\r") == [
        "  planning: 1000, 500 would go",
        "  planning: 2000, 1000 would go",
        "  collecting: 0 of 2004 (0%), 0 deleted",
        "  collecting: 2000 of 2004 (100%), 1000 deleted",
        "",
    ]


def test_what_is_no_terminal_is_not_told_how_far_it_is(storage):
    for name in range(498):
        seed(storage, f"{name}.txt", [1, 2], modified=OLD)

    _, errors = collect()

    assert errors == ""


# JSON


def test_json_is_the_summary_of_each_storage(storage, archive):
    said, errors = collect("--json")

    assert errors == ""
    assert json.loads(said) == {
        "default": {
            "dry_run": False,
            "names": 2,
            "scanned": 4,
            "kept": 2,
            "deleted": 2,
            "bytes_freed": 4096,
            "archived": 0,
            "uploads_aborted": 0,
            "reasons": {"current": 2, "superseded, and no rule keeps it": 2},
            "error_count": 0,
            "errors": [],
        },
        "archive": {
            "dry_run": False,
            "names": 1,
            "scanned": 2,
            "kept": 1,
            "deleted": 1,
            "bytes_freed": 1,
            "archived": 0,
            "uploads_aborted": 0,
            "reasons": {"current": 1, "superseded, and no rule keeps it": 1},
            "error_count": 0,
            "errors": [],
        },
    }


def test_json_of_a_dry_run_has_each_object_that_would_go(storage):
    said, _ = collect("--json", "--dry-run")

    summary = json.loads(said)["default"]
    assert (summary["dry_run"], summary["deleted"]) == (True, 2)
    assert summary["objects"] == [
        {
            "name": "a.txt",
            "number": number,
            "key": storage.archive.layout.version_key("a.txt", number),
            "size": 2048,
            "reason": "superseded, and no rule keeps it",
        }
        for number in (2, 1)
    ]
    assert numbers(storage, "a.txt") == [3, 2, 1]


def test_json_of_a_dry_run_has_on_request_also_what_stays_and_why(storage):
    said, _ = collect("--json", "--dry-run", "-v", "2")

    objects = json.loads(said)["default"]["objects"]
    assert [
        (found["number"], found.get("stays", False), found["reason"]) for found in objects if found["name"] == "a.txt"
    ] == [
        (3, True, "current"),
        (2, False, "superseded, and no rule keeps it"),
        (1, False, "superseded, and no rule keeps it"),
    ]


def test_json_of_a_failure_has_its_reason(storage, missing):
    said, errors = collect("--json", ends_well=False)

    results = json.loads(said)
    assert results["missing"] == {"failure": missing}
    assert results["default"]["deleted"] == 2
    assert errors == ""


# Failures


def test_a_storage_that_fails_does_not_stop_the_others(storage, missing):
    said, errors = collect(ends_well=False)

    assert errors == f"missing: {missing}\n"
    assert said.startswith("default: 2 names, 4 keys; 2 deleted")
    assert numbers(storage, "a.txt") == [3]


def test_an_alias_that_keeps_no_versions_is_told_with_those_that_do(storage):
    said, errors = collect("--storage", "typo", ends_well=False)

    assert (said, errors) == (
        "",
        "typo: 'typo' is no storage that keeps versions. STORAGES has these: 'default'.\n",
    )


def test_keys_that_the_store_keeps_are_told_and_are_a_failure(storage):
    kept = storage.archive.layout.version_key("a.txt", 1)
    events = shared_client(storage).meta.events

    def refuse(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Errors"] = [{"Key": kept, "Code": "AccessDenied", "Message": "Locked until 2030."}]

    events.register("after-call.s3.DeleteObjects", refuse)
    try:
        said, errors = collect(ends_well=False)
    finally:
        events.unregister("after-call.s3.DeleteObjects", refuse)

    assert "2 names, 4 keys; 1 deleted (2.0 KB), 3 stay" in said
    assert errors == f"  kept {kept}: AccessDenied Locked until 2030.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-v", "2", "collect", "--dry-run"], id="before the verb"),
        pytest.param(["collect", "-v", "2", "--dry-run"], id="after the verb"),
        pytest.param(["-v", "0", "collect", "-v", "2", "--dry-run"], id="both: the later counts"),
    ],
)
def test_djangos_own_options_stand_anywhere(arguments):
    options = vars(Command().create_parser("manage.py", "consistent_s3").parse_args(arguments))

    assert (options["verbosity"], options["no_color"], options["dry_run"]) == (2, False, True)


def test_a_verb_is_required():
    with pytest.raises(CommandError, match="the following arguments are required: VERB"):
        call_command("consistent_s3")


# As a process


@pytest.fixture
def project(storage: ConsistentS3Storage, tmp_path: Any, options: dict[str, Any]) -> Callable[..., Any]:
    """Return a function that runs the command in a process, on a database of its own."""

    def run(*arguments: str, bucket: str = options["bucket_name"]) -> Any:
        stored = {"default": {"BACKEND": BACKEND, "OPTIONS": {**options, "bucket_name": bucket}}}
        write_settings(
            tmp_path,
            f"STORAGES |= {stored!r}\nDATABASES['default']['NAME'] = {str(tmp_path / 'db.sqlite3')!r}\n",
        )
        made = run_django(tmp_path, "migrate", "--run-syncdb", "-v", "0")
        assert made.returncode == 0, made.stderr
        return run_django(tmp_path, "consistent_s3", "collect", *arguments)

    return run


def test_a_process_that_collected_ends_with_zero(project, storage):
    run = project("--no-color", "-v", "1")

    assert (run.returncode, run.stderr) == (0, "")
    assert plain(run.stdout).startswith("default: 2 names, 4 keys; 2 deleted (4.0 KB), 2 stay\n")
    assert numbers(storage, "a.txt") == [3]


def test_a_process_that_failed_ends_with_one_and_no_traceback(project, options):
    run = project("--json", bucket="missing")

    assert run.returncode == 1
    assert run.stderr == f"CommandError: {FAILED}\n"
    assert json.loads(run.stdout)["default"]["failure"].startswith("Cannot list 'files/': there is no bucket 'missing'")


def test_a_process_whose_reader_has_gone_ends_quietly(project, storage, tmp_path):
    """As in `manage.py consistent_s3 collect | head -n 1`."""
    project("--dry-run")  # writes the settings

    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "-m", "django", "consistent_s3", "collect", "--dry-run"],
        env=environment(tmp_path),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(writing)
        _, errors = process.communicate(timeout=SECONDS)

    assert (process.returncode, errors) == (141, "")


def test_a_process_whose_database_has_no_tables_deletes_nothing_and_says_so(storage, tmp_path, options):
    stored = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
    write_settings(tmp_path, f"STORAGES |= {stored!r}\n")

    run = run_python(tmp_path, "-m", "django", "consistent_s3", "collect", "--no-color")

    assert run.returncode == 1
    assert run.stderr == f"default: no such table: consistent_s3_collectionrun\nCommandError: {FAILED}\n"
    assert numbers(storage, "a.txt") == [3, 2, 1]


# Runs that somebody else has begun


def begun(storage: ConsistentS3Storage, **order: Any) -> CollectionRun:
    return runs.begin("default", storage, runs.Order(**order))


def test_a_run_is_gone_on_with_as_it_was_begun(storage):
    run = begun(storage, dry_run=True, started_by="ann")

    said, _ = collect("--run", str(run.pk))

    assert said.splitlines()[:2] == [
        "default: nothing is deleted, this is a dry run",
        "  would go  a.txt  version 2  2.0 KB  (superseded, and no rule keeps it)",
    ]
    run.refresh_from_db()
    assert (run.state, run.started_by, run.summary["deleted"]) == ("done", "ann", 2)
    assert CollectionRun.objects.count() == 1


def test_collecting_a_storage_goes_on_with_the_run_that_is_under_way(storage):
    run = begun(storage, started_by="ann")

    collect("--storage", "default")

    run.refresh_from_db()
    assert (run.state, CollectionRun.objects.count()) == ("done", 1)
    assert numbers(storage, "a.txt") == [3]


def test_a_run_that_has_ended_or_never_was_is_refused(storage):
    run = begun(storage)
    collect("--run", str(run.pk))

    with pytest.raises(CommandError) as ended:
        call_command("consistent_s3", "collect", "--run", str(run.pk))
    with pytest.raises(CommandError) as missing:
        call_command("consistent_s3", "collect", "--run", "999")

    assert str(ended.value) == (f"Run {run.pk} is not under way. It has ended: done. Begin another one without --run.")
    assert str(missing.value) == "Run 999 is not under way. There is no such run. Begin another one without --run."


def test_what_belongs_to_a_new_run_is_not_taken_for_one_that_is_under_way(storage):
    run = begun(storage, dry_run=True)

    with pytest.raises(CommandError, match="Leave out what belongs to a new one"):
        call_command("consistent_s3", "collect", "--run", str(run.pk), "--max-delete-ratio", "1")
