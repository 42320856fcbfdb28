"""`manage.py consistent_s3 install-schedule`: have Celery beat collect garbage at night.

Where django-celery-beat is installed, its tables get two entries, once. An entry that is there is never touched: not
its time, not its arguments, and what staff has disabled stays disabled. Found by its task, so it may also be renamed.
Elsewhere the verb says what to paste into the settings.
"""

from __future__ import annotations

import json as encoder
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction

HELP = "Have Celery beat collect garbage every night: adds it to django-celery-beat once."

COLLECT = "consistent_s3.collect_garbage"
RESUME = "consistent_s3.resume_collections"
MINUTES = 10
"""How often the work of killed workers is looked for."""

PASTE = """\
from datetime import timedelta

from celery.schedules import crontab

CELERY_BEAT_SCHEDULE = {{
    "collect-garbage": {{"task": "{collect}", "schedule": crontab(hour={hour}, minute={minute})}},
    "resume-collections": {{"task": "{resume}", "schedule": timedelta(minutes={minutes})}},
}}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one task."""

    task: str
    name: str
    state: str
    """`added`, `would be added`, `present`, `disabled`, `in CELERY_BEAT_SCHEDULE`, or `missing`."""
    schedule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """A time of day."""

    hour: int
    minute: int


def add_arguments(parser: ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--dry-run", action="store_true", help="Change nothing; say what would be added.")
    parser.add_argument("--json", action="store_true", help="Print JSON, for scripts.")
    parser.add_argument(
        "--at",
        type=_time,
        default=Time(hour=3, minute=7),
        metavar="HH:MM",
        help="When garbage is collected, in Celery's time zone; default: 03:07.",
    )


def handle(command: BaseCommand, *, dry_run: bool, json: bool, at: Time, **_: Any) -> None:
    """Add what is missing. Raises `CommandError` where it has nowhere to go."""
    tables = apps.is_installed("django_celery_beat")
    try:
        entries = list(_entries(at, tables=tables, dry_run=dry_run))
    except DatabaseError as error:
        raise CommandError(f"The tables of django-celery-beat cannot be used: {error}. Run migrate first.") from error
    missing = any(entry.state == "missing" for entry in entries)
    paste = PASTE.format(collect=COLLECT, resume=RESUME, hour=at.hour, minute=at.minute, minutes=MINUTES)
    if json:
        told = [{"task": each.task, "name": each.name, "state": each.state} for each in entries]
        command.stdout.write(encoder.dumps({"entries": told, "paste": paste if missing else None}, indent=2))
    else:
        for each in entries:
            command.stdout.write(f"{each.task}: {each.state}" + (f" ({each.schedule})" if each.schedule else ""))
        if missing:
            command.stdout.write(f"Without django-celery-beat the settings say when. Paste what is missing:\n\n{paste}")
    if missing and not dry_run:
        raise CommandError(
            "Nothing was added: 'django_celery_beat' is not in INSTALLED_APPS. Add the lines above to the settings, or "
            "install django-celery-beat and run this again."
        )


def _entries(at: Time, *, tables: bool, dry_run: bool) -> Iterator[Entry]:
    in_settings = _in_settings()
    for task in (COLLECT, RESUME):
        found = _PeriodicTasks(at).found(task) if tables else None
        if found is not None:
            yield found
        elif task in in_settings:
            yield Entry(task=task, name=in_settings[task], state="in CELERY_BEAT_SCHEDULE", schedule="")
        elif not tables:
            yield Entry(task=task, name="", state="missing", schedule="")
        else:
            yield _PeriodicTasks(at).added(task, dry_run=dry_run)


def _in_settings() -> dict[str, str]:
    """Return the names of the entries that the project's Celery app has, by their tasks."""
    try:
        tasks: Any = import_module("consistent_s3.tasks")
    except ImportError:  # Celery is an extra
        return {}
    schedule = tasks.collect_garbage.app.conf.beat_schedule or {}
    return {entry.get("task", ""): name for name, entry in schedule.items()}


class _PeriodicTasks:
    """The tables of django-celery-beat."""

    def __init__(self, at: Time) -> None:
        self._at = at
        self._models: Any = import_module("django_celery_beat.models")

    def found(self, task: str) -> Entry | None:
        row = self._models.PeriodicTask.objects.filter(task=task).order_by("-enabled", "pk").first()
        return None if row is None else _told(row, "present" if row.enabled else "disabled")

    def added(self, task: str, *, dry_run: bool) -> Entry:
        if dry_run:
            return Entry(task=task, name=task, state="would be added", schedule="")
        with transaction.atomic(using=self._models.PeriodicTask.objects.db):
            when = self._nightly() if task == COLLECT else self._often()
            row, added = self._models.PeriodicTask.objects.get_or_create(name=task, defaults={"task": task, **when})
        return _told(row, "added" if added else "present")

    def _nightly(self) -> dict[str, Any]:
        crontabs = self._models.CrontabSchedule
        made = crontabs(hour=str(self._at.hour), minute=str(self._at.minute))
        names = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year", "timezone")
        same = crontabs.objects.filter(**{name: getattr(made, name) for name in names}).first()
        if same is None:
            made.save()
        return {"crontab": same or made}

    def _often(self) -> dict[str, Any]:
        intervals = self._models.IntervalSchedule
        every = {"every": MINUTES, "period": intervals.MINUTES}
        return {"interval": intervals.objects.filter(**every).first() or intervals.objects.create(**every)}


def _told(row: Any, state: str) -> Entry:
    return Entry(task=row.task, name=row.name, state=state, schedule=str(row.crontab or row.interval or ""))


def _time(text: str) -> Time:
    parts = re.fullmatch(r"(\d{1,2}):(\d{2})", text, re.ASCII)
    if parts is None or int(parts[1]) > 23 or int(parts[2]) > 59:
        raise ArgumentTypeError(f"{text!r} is no time of day. Write hours and minutes, such as 03:07.")
    return Time(hour=int(parts[1]), minute=int(parts[2]))
