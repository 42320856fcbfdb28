"""`manage.py consistent_s3 probe` against a real S3 server: what it prints, how it ends, and what it leaves."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from consistent_s3 import probe as faces
from consistent_s3.clients import shared_client
from consistent_s3.core.errors import AnswerLostError, StoreError
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.core.suitability import QUESTIONS, Held
from consistent_s3.probe import S3Extras, configured_mode, probe_of
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams import NewEvent, event_store
from tests.projects import run_django, write_settings

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
ALL = "database, listing, listing with clock numbering, redis, redis on weak listings"
HONESTY = "Asking proves 'no', never 'yes': what did not show in 2 rounds may show tomorrow."


@pytest.fixture
def options(storage_options: dict[str, Any]) -> dict[str, Any]:
    return {**storage_options, "location": "files", "index": "listing"}


@pytest.fixture
def storage(settings: Any, options: dict[str, Any]) -> ConsistentS3Storage:
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
    return storages["default"]


@pytest.fixture
def ignoring(storage: ConsistentS3Storage) -> Any:
    """Let the server ignore preconditions."""
    events = shared_client(storage).meta.events

    def drop(params: dict[str, Any], **_: Any) -> None:
        params["headers"].pop("If-None-Match", None)

    for operation in ("PutObject", "CompleteMultipartUpload"):
        events.register(f"before-call.s3.{operation}", drop)
    yield
    for operation in ("PutObject", "CompleteMultipartUpload"):
        events.unregister(f"before-call.s3.{operation}", drop)


def probe(*arguments: str, ends_well: bool = True, stderr: Any = None) -> tuple[str, str]:
    """Run the command and return what it wrote as text and as errors."""
    out, errors = io.StringIO(), stderr or io.StringIO()
    given = ["consistent_s3", "probe", "--rounds", "2", *arguments]
    if ends_well:
        call_command(*given, stdout=out, stderr=errors, no_color=True)
    else:
        with pytest.raises(CommandError) as caught:
            call_command(*given, stdout=out, stderr=errors, no_color=True)
        assert str(caught.value) == "Not shown to be safe as configured: default. See above for what to set."
    return out.getvalue(), errors.getvalue()


def keys(storage: ConsistentS3Storage) -> list[str]:
    listed = shared_client(storage).list_objects_v2(Bucket=storage.bucket_name)
    uploads = shared_client(storage).list_multipart_uploads(Bucket=storage.bucket_name)
    return [entry["Key"] for entry in [*listed.get("Contents", ()), *uploads.get("Uploads", ())]]


# Text


def test_a_good_store_is_told_as_a_table_with_the_modes_and_what_to_set(storage):
    said, errors = probe()

    lines = said.splitlines()
    assert re.fullmatch(r"default: 2 rounds below files/\.consistent-s3-probe-[0-9a-f]{12}/", lines[0])
    assert lines[2] == "question                                      held     what was seen, and what it means"
    assert "Of many who create one key at once, one wins  yes      One of 16 won in 2 of 2 rounds." in lines
    assert lines[-4:] == [
        f"Safe index modes here: {ALL}.",
        "Streams of events are safe here.",
        "Set: nothing, index='listing', numbering='sequence' is what it has.",
        HONESTY,
    ]
    assert errors == ""
    assert max(map(len, lines)) <= 120
    assert keys(storage) == []


def test_a_store_that_ignores_preconditions_is_refused_with_what_to_set(storage, ignoring):
    said, errors = probe(ends_well=False)

    assert said.splitlines()[-5:] == [
        "Safe index modes here: database, listing with clock numbering, redis, redis on weak listings.",
        "  listing: not safe (create, race)",
        "Streams of events are not safe (create, race) here.",
        "Set: index='database'.",
        HONESTY,
    ]
    assert "An upload was completed over an object that was there." in " ".join(said.split())
    assert errors == ""
    assert keys(storage) == []


def test_a_storage_that_is_set_to_what_is_safe_there_ends_well(storage, ignoring, settings, options):
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": BACKEND, "OPTIONS": {**options, "numbering": "clock"}},
    }

    said, _ = probe()

    assert "Set: nothing, index='listing', numbering='clock' is what it has." in said.splitlines()


def test_a_bucket_that_is_missing_is_told_for_each_question(storage, settings, options):
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": BACKEND, "OPTIONS": {**options, "bucket_name": "missing"}},
    }

    said, errors = probe(ends_well=False)

    assert said.count("unknown") == len(QUESTIONS)
    assert "there is no bucket 'missing'" in " ".join(said.split())
    assert "Safe index modes here: none." in said
    assert "Set: nothing here is known to be safe. Use another bucket, or see why it was not answered." in said
    assert errors == ""


def test_an_alias_that_keeps_no_versions_is_told(storage):
    out, errors = io.StringIO(), io.StringIO()

    with pytest.raises(CommandError, match=r"^Not shown to be safe as configured: typo\."):
        call_command("consistent_s3", "probe", "--storage", "typo", stdout=out, stderr=errors, no_color=True)

    assert errors.getvalue() == "typo: 'typo' is no storage that keeps versions. STORAGES has these: 'default'.\n"


@pytest.mark.parametrize("rounds", ["0", "501", "many"])
def test_rounds_that_cannot_be_asked_are_refused(rounds):
    with pytest.raises(CommandError, match=r"argument --rounds: invalid"):
        call_command("consistent_s3", "probe", "--rounds", rounds)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_what_is_being_asked(storage):
    terminal = Terminal()

    probe(stderr=terminal)

    said = terminal.getvalue()
    assert [line.strip() for line in said.split("\r") if line.strip()] == [question.text for question in QUESTIONS]


def test_keys_that_cannot_be_deleted_are_told(storage, monkeypatch):
    monkeypatch.setattr("consistent_s3.core.s3.S3ObjectStore.delete", refuse)

    said, errors = probe(ends_well=False)

    left = len(keys(storage))
    assert errors.startswith(
        f"default: {left} keys could not be deleted, delete what lies below that directory yourself: 'files/.cons"
    )
    assert "  listing: not decided (list-forgets)" in said.splitlines()


def test_puts_that_may_yet_land_are_told(storage, monkeypatch):
    def put(store: S3ObjectStore, key: str, body: Any, **options: Any) -> Any:
        if "/empty/" in key:
            raise AnswerLostError("Lost.")
        return real(store, key, body, **options)

    real = S3ObjectStore.put
    monkeypatch.setattr(S3ObjectStore, "put", put)

    _, errors = probe(ends_well=False)

    said = re.fullmatch(
        r"default: 1 puts were never answered\. Look below files/\.consistent-s3-probe-\w+/ in 15 minutes\.\n", errors
    )
    assert said


def refuse(*_: Any) -> Any:
    raise StoreError("No.")


def test_ctrl_c_cleans_up_and_says_so(storage, monkeypatch):
    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("consistent_s3.core.s3.S3ObjectStore.list", interrupt)
    errors = io.StringIO()

    with pytest.raises(KeyboardInterrupt):
        call_command("consistent_s3", "probe", "--rounds", "2", stdout=io.StringIO(), stderr=errors, no_color=True)

    assert errors.getvalue() == "default: interrupted. What was written was deleted again.\n"
    assert keys(storage) == []


# JSON


def test_json_is_the_report_of_each_storage(storage):
    said, _ = probe("--json")

    report = json.loads(said)["default"]
    assert [finding["question"] for finding in report["findings"]] == [question.id for question in QUESTIONS]
    assert {finding["held"] for finding in report["findings"]} == {"yes"}
    assert report["modes"][1] == {
        "mode": "listing",
        "options": {"index": "listing", "numbering": "sequence"},
        "safe": "yes",
        "against": [],
    }
    assert report["event_store"] == {"safe": "yes", "against": [], "wanted": False}
    assert (report["configured"], report["configured_is_safe"]) == ("listing", True)
    assert report["set"] == {"index": "listing", "numbering": "sequence"}
    assert (report["rounds"], report["left_behind"], report["may_land"]) == (2, [], [])


def test_json_of_a_store_that_ignores_preconditions_says_what_speaks_against_which_mode(storage, ignoring):
    said, _ = probe("--json", ends_well=False)

    report = json.loads(said)["default"]
    assert report["modes"][1]["against"] == ["create", "race"]
    assert report["event_store"] == {"safe": "no", "against": ["create", "race"], "wanted": False}
    assert (report["configured"], report["configured_is_safe"]) == ("listing", False)
    assert report["set"] == {"index": "database"}


def test_json_of_a_failure_has_its_reason(storage):
    out = io.StringIO()

    with pytest.raises(CommandError):
        call_command("consistent_s3", "probe", "--json", "--storage", "typo", stdout=out)

    assert json.loads(out.getvalue())["typo"]["failure"].startswith("'typo' is no storage that keeps versions.")


# Streams of events


STREAMS = (
    "Streams are here, or CONSISTENT_S3_STREAMS names some, and no index makes them safe here. Keep them in another "
    "store, and set strong_listing=False, which refuses them here."
)


@pytest.fixture
def with_rows(storage: ConsistentS3Storage, settings: Any, options: dict[str, Any]) -> ConsistentS3Storage:
    """Let rows find the newest: the index is safe on any store."""
    return use(settings, {**options, "index": "database"})


def use(settings: Any, options: dict[str, Any]) -> ConsistentS3Storage:
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
    return storages["default"]


@pytest.fixture
def lagging(with_rows: ConsistentS3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first LIST after a put of the probe not show it."""

    def lag(store: S3ObjectStore, prefix: str, **options: Any) -> Any:
        page = real(store, prefix, **options)
        if "/.consistent-s3-probe" not in prefix:
            return page
        shown = [info for info in page.objects if info.key in listed]
        listed.update(info.key for info in page.objects)
        return replace(page, objects=shown)

    listed: set[str] = set()
    real = S3ObjectStore.list
    monkeypatch.setattr(S3ObjectStore, "list", lag)


def name_streams(settings: Any) -> None:
    settings.CONSISTENT_S3_STREAMS = {"order": {"fold": "tests.streams.conftest.add"}}


def append(settings: Any) -> None:
    event_store().append("order", "7", [NewEvent(type="Paid")], expected_version=0)


@pytest.mark.parametrize("streams", [name_streams, append])
def test_streams_on_a_store_that_lags_end_badly_though_the_index_is_safe_there(lagging, settings, streams):
    streams(settings)

    said, errors = probe(ends_well=False)

    assert said.splitlines()[-3:] == ["Set: nothing, index='database' is what it has.", STREAMS, HONESTY]
    assert errors == ""


def test_json_of_streams_on_a_store_that_lags_says_so_and_ends_badly(lagging, settings):
    name_streams(settings)

    said, _ = probe("--json", ends_well=False)

    report = json.loads(said)["default"]
    assert (report["configured"], report["configured_is_safe"]) == ("database", True)
    assert (report["event_store"]["safe"], report["event_store"]["wanted"]) == ("no", True)
    assert "list-fresh" in report["event_store"]["against"]


def test_a_store_that_lags_and_has_no_streams_ends_well(lagging):
    said, _ = probe()

    assert "Streams of events are not safe (" in said
    assert STREAMS not in said


def test_streams_that_are_refused_on_a_store_that_lags_end_well(lagging, settings, options):
    name_streams(settings)
    use(settings, {**options, "index": "database", "strong_listing": False})

    said, _ = probe()

    assert STREAMS not in said


def test_streams_on_a_good_store_end_well(with_rows, settings):
    name_streams(settings)

    said, _ = probe("--json")

    assert json.loads(said)["default"]["event_store"] == {"safe": "yes", "against": [], "wanted": True}


# What only S3 is asked


def test_a_bucket_with_versioning_is_told(storage):
    shared_client(storage).put_bucket_versioning(
        Bucket=storage.bucket_name, VersioningConfiguration={"Status": "Enabled"}
    )

    report = probe_of("default", rounds=1).run()

    assert [finding.question.id for finding in report.findings if finding.held is not Held.YES] == ["unversioned"]


class Failing:
    """A client whose requests fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_bucket_versioning(self, **_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "x"),
            "Cannot ask for the versioning of the bucket: AccessDenied.",
        ),
        (
            EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
            (
                "Cannot ask for the versioning of the bucket: Could not connect to the endpoint URL: "
                '"http://127.0.0.1:9"'
            ),
        ),
    ],
    ids=["denied", "unreachable"],
)
def test_a_question_that_s3_does_not_answer_is_a_store_error(error, sentence):
    extras: Any = S3Extras(client=Failing(error), bucket="b")

    with pytest.raises(StoreError) as told:
        extras.keeps_versions()

    assert str(told.value) == sentence


def test_puts_have_what_the_storage_puts_have(storage, settings, options):
    more = {"object_parameters": {"ServerSideEncryption": "AES256", "ContentType": "x/y"}, "default_acl": "private"}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": {**options, **more}}}

    made = probe_of("default")

    assert made.extra == {"ServerSideEncryption": "AES256", "ACL": "private"}
    assert configured_mode("default") is not None
    assert made.rounds == faces.ROUNDS


# As a process


@pytest.mark.parametrize(("bucket", "code"), [("", 0), ("missing", 1)], ids=["safe", "not known to be safe"])
def test_a_process_ends_with_what_was_found(bucket, code, storage, options, tmp_path):
    stored = {"default": {"BACKEND": BACKEND, "OPTIONS": {**options, "bucket_name": bucket or options["bucket_name"]}}}
    write_settings(tmp_path, f"STORAGES |= {stored!r}\n")

    run = run_django(tmp_path, "consistent_s3", "probe", "--json", "--rounds", "1", "--no-color")

    assert run.returncode == code, run.stderr
    assert json.loads(run.stdout)["default"]["configured_is_safe"] is not bool(code)
    assert "Traceback" not in run.stderr


# The reminder


@pytest.mark.parametrize("deploy", [True, False])
def test_check_reminds_before_a_deployment_only(deploy, storage, options, tmp_path):
    write_settings(tmp_path, f"STORAGES |= { ({'default': {'BACKEND': BACKEND, 'OPTIONS': options}})!r}\n")

    run = run_django(tmp_path, "check", "--tag", "files", *(["--deploy"] if deploy else []), "--no-color")

    assert run.returncode == 0, run.stderr
    assert ("(consistent_s3.W011)" in run.stderr) is deploy
