"""Collecting through Django's own queue, where Django has one."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import django
import pytest
from django.core.files.storage import storages

from consistent_s3 import runs, turns
from consistent_s3.models import CollectionRun
from consistent_s3.runs import Order
from consistent_s3.storage import ConsistentS3Storage
from tests.seeding import seed

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
OLD = datetime.now(UTC) - timedelta(days=9)


@pytest.fixture
def storage(settings: Any, storage_options: dict[str, Any]) -> ConsistentS3Storage:
    """Configure the default storage with three old versions of each of four names."""
    options = {**storage_options, "retention": {"keep_last": 1}}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
    for name in "abcd":
        seed(storages["default"], f"{name}.txt", [1, 2, 3], modified=OLD)
    return storages["default"]


def numbers(storage: ConsistentS3Storage) -> list[list[int]]:
    return [[version.number for version in storage.history(f"{name}.txt")] for name in "abcd"]


if django.VERSION < (6, 0):

    def test_where_django_has_no_queue_the_import_says_what_to_do():
        program = "import django; django.setup(); import consistent_s3.django_tasks"

        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=_environment()
        )

        assert run.stderr.splitlines()[-1] == (
            "ImportError: consistent_s3.django_tasks needs django.tasks, which came with Django 6.0. Upgrade Django, "
            "or collect with Celery (consistent_s3.tasks) or manage.py consistent_s3 collect."
        )

    def _environment() -> dict[str, str]:
        import os

        return {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}

else:
    from django.tasks import TaskResultStatus, task_backends

    from consistent_s3.django_tasks import collect_garbage, collect_slice, resume_collections

    DUMMY = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}

    @pytest.mark.django_db
    def test_what_is_enqueued_collects_and_tells_what_went(storage):
        result = collect_garbage.enqueue(["default"])

        assert result.status == TaskResultStatus.SUCCESSFUL, result.errors
        run = CollectionRun.objects.get()
        assert (result.return_value["default"]["deleted"], result.return_value["default"]["state"]) == (8, "done")
        assert (run.started_by, run.pk) == ("django.tasks", result.return_value["default"]["run"])
        assert numbers(storage) == [[3]] * 4

    @pytest.mark.django_db
    def test_all_storages_that_keep_versions_are_collected_when_none_is_named(storage):
        assert collect_garbage.enqueue().return_value.keys() == {"default"}
        assert collect_garbage.enqueue([]).return_value == {}

    @pytest.mark.django_db
    def test_a_dry_run_deletes_nothing(storage):
        result = collect_garbage.enqueue(["default"], dry_run=True)

        assert result.return_value["default"]["deleted"] == 8
        assert numbers(storage) == [[3, 2, 1]] * 4

    @pytest.mark.django_db
    def test_what_takes_longer_than_a_turn_goes_on_in_tasks_of_its_own(storage, settings, monkeypatch):
        settings.TASKS = DUMMY
        monkeypatch.setattr(runs, "TURN", 0.0)

        collect_garbage.call(["default"])

        queued = task_backends["default"].results
        assert {(result.task.name, *result.args) for result in queued} == {
            ("collect_slice", CollectionRun.objects.get().pk)
        }
        assert json.dumps([result.args for result in queued])
        _work_off()
        assert CollectionRun.objects.get().state == CollectionRun.State.DONE
        assert numbers(storage) == [[3]] * 4

    def _work_off() -> None:
        """Do what a worker of a real backend would do: take each message once, also those that come of it."""
        backend = task_backends["default"]
        while backend.results:
            waiting, backend.results = backend.results, []
            for result in waiting:
                result.task.call(*result.args, **result.kwargs)

    @pytest.mark.django_db
    def test_a_run_that_nobody_works_on_is_taken_up_again(storage):
        run = runs.begin("default", storage, Order(dry_run=True))

        result = resume_collections.enqueue()

        assert result.return_value == [run.pk]
        run.refresh_from_db()
        assert (run.state, run.summary["deleted"]) == (CollectionRun.State.DONE, 8)

    @pytest.mark.django_db
    def test_a_run_that_a_worker_is_at_is_left_to_it(storage):
        runs.claim(runs.begin("default", storage, Order()))

        assert resume_collections.enqueue().return_value == []

    @pytest.mark.django_db
    def test_a_message_that_comes_too_late_does_no_harm(storage):
        result = collect_slice.enqueue(999)

        assert result.status == TaskResultStatus.SUCCESSFUL, result.errors

    @pytest.mark.django_db
    def test_a_slice_that_failed_for_now_is_tried_again_later_where_the_queue_can_wait(storage, settings):
        settings.TASKS = DUMMY
        run = runs.begin("default", _unreachable(settings), Order())
        before = datetime.now(UTC)

        collect_slice.call(run.pk)

        (again,) = task_backends["default"].results
        assert again.task.name == "collect_slice"
        assert again.task.run_after >= before + timedelta(seconds=turns.PAUSE)

    @pytest.mark.django_db
    def test_a_slice_that_never_succeeds_fails_its_run_also_where_the_queue_cannot_wait(storage, settings):
        run = runs.begin("default", _unreachable(settings), Order())

        collect_slice.enqueue(run.pk)

        run.refresh_from_db()
        assert run.state == CollectionRun.State.FAILED
        assert "127.0.0.1:9" in run.message

    def _unreachable(settings: Any) -> ConsistentS3Storage:
        """Let the storage's server go away."""
        options = {
            **settings.STORAGES["default"]["OPTIONS"],
            "endpoint_url": "http://127.0.0.1:9",
            "client_config": _impatient(),
        }
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
        return storages["default"]

    def _impatient() -> Any:
        from botocore.config import Config

        return Config(retries={"max_attempts": 1}, connect_timeout=1)
