"""`manage.py consistent_s3 install-schedule` with the real django-celery-beat, in a project of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.projects import run_django, run_python, write_settings

COLLECT = "consistent_s3.collect_garbage"
RESUME = "consistent_s3.resume_collections"

LOOK = """
import django, json, sys
django.setup()
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
exec(sys.argv[1])
print(json.dumps([
    [task.name, task.task, str(task.crontab or task.interval), task.enabled, task.kwargs]
    for task in PeriodicTask.objects.order_by("pk")
]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with the tables of django-celery-beat."""
    write_settings(
        tmp_path,
        "INSTALLED_APPS = [*INSTALLED_APPS, 'django_celery_beat']\n"
        f"DATABASES['default']['NAME'] = {str(tmp_path / 'db.sqlite3')!r}\n",
    )
    return tmp_path


@pytest.fixture
def migrated(project: Path) -> Path:
    done = run_django(project, "migrate", "django_celery_beat", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    return project


def install(directory: Path, *arguments: str) -> str:
    run = run_django(directory, "consistent_s3", "install-schedule", *arguments)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def tasks(directory: Path, after: str = "") -> list[list[Any]]:
    """Return the entries, after some lines of Python if there are any."""
    run = run_python(directory, "-c", LOOK, after)
    assert run.returncode == 0, run.stderr
    found: list[list[Any]] = json.loads(run.stdout)
    return found


def test_entries_are_added_once(migrated):
    first = install(migrated, "--at", "02:30")
    second = install(migrated, "--at", "05:00")

    assert first == (f"{COLLECT}: added (30 2 * * * (m/h/dM/MY/d) UTC)\n{RESUME}: added (every 10 minutes)\n")
    assert second == first.replace("added", "present")
    assert tasks(migrated) == [
        [COLLECT, COLLECT, "30 2 * * * (m/h/dM/MY/d) UTC", True, "{}"],
        [RESUME, RESUME, "every 10 minutes", True, "{}"],
    ]


def test_what_staff_changed_renamed_or_disabled_is_left_alone(migrated):
    install(migrated)
    changed = tasks(
        migrated,
        f"PeriodicTask.objects.filter(task={COLLECT!r}).update(name='Tidy up', enabled=False, kwargs='{{\"a\": 1}}')\n"
        f"PeriodicTask.objects.filter(task={RESUME!r}).update("
        "interval=IntervalSchedule.objects.create(every=3, period='hours'))",
    )

    said = json.loads(install(migrated, "--json"))

    assert [entry["state"] for entry in said["entries"]] == ["disabled", "present"]
    assert [entry["name"] for entry in said["entries"]] == ["Tidy up", RESUME]
    assert tasks(migrated) == changed


def test_a_dry_run_adds_nothing(migrated):
    said = install(migrated, "--dry-run")

    assert said == f"{COLLECT}: would be added\n{RESUME}: would be added\n"
    assert tasks(migrated) == []


def test_schedules_that_are_there_are_used_also_where_there_are_two_alike(migrated):
    there = (
        "for _ in range(2): CrontabSchedule.objects.create(hour='3', minute='7'); "
        "IntervalSchedule.objects.create(every=10, period='minutes')"
    )
    tasks(migrated, there)

    install(migrated)

    counts = "assert (CrontabSchedule.objects.count(), IntervalSchedule.objects.count()) == (2, 2)"
    assert len(tasks(migrated, counts)) == 2


def test_tables_that_are_not_there_yet_are_asked_for(project):
    run = run_django(project, "consistent_s3", "install-schedule")

    assert run.returncode == 1
    assert run.stderr.startswith("CommandError: The tables of django-celery-beat cannot be used: no such table")
    assert run.stderr.endswith("Run migrate first.\n")


def test_beat_itself_takes_the_entries_up(migrated):
    install(migrated, "--at", f"{datetime.now(UTC):%H:%M}")  # beat leaves out for now what is hours away

    due = run_python(
        migrated,
        "-c",
        "import django; django.setup()\n"
        "from celery import Celery\n"
        "from django_celery_beat.schedulers import DatabaseScheduler\n"
        "schedule = DatabaseScheduler(app=Celery('own')).schedule\n"
        "print(sorted(entry.task for entry in schedule.values() if entry.task.startswith('consistent_s3')))\n",
    )

    assert due.stdout == f"{[COLLECT, RESUME]}\n", due.stderr
