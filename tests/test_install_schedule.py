"""`manage.py consistent_s3 install-schedule`: what it adds, what it leaves alone, what it says."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery, current_app
from celery.schedules import crontab
from django.core.management import CommandError, call_command

COLLECT = "consistent_s3.collect_garbage"
RESUME = "consistent_s3.resume_collections"
PASTE = """\
from datetime import timedelta

from celery.schedules import crontab

CELERY_BEAT_SCHEDULE = {
    "collect-garbage": {"task": "consistent_s3.collect_garbage", "schedule": crontab(hour=3, minute=7)},
    "resume-collections": {"task": "consistent_s3.resume_collections", "schedule": timedelta(minutes=10)},
}"""
REFUSED = (
    "Nothing was added: 'django_celery_beat' is not in INSTALLED_APPS. Add the lines above to the settings, or install "
    "django-celery-beat and run this again."
)


def install(*arguments: str) -> str:
    said = io.StringIO()
    call_command("consistent_s3", "install-schedule", *arguments, stdout=said)
    return said.getvalue()


def test_without_its_tables_the_lines_to_paste_are_printed():
    assert install("--dry-run") == (
        f"{COLLECT}: missing\n"
        f"{RESUME}: missing\n"
        f"Without django-celery-beat the settings say when. Paste what is missing:\n\n{PASTE}\n"
    )


def test_without_its_tables_the_verb_fails_and_says_why(capsys):
    with pytest.raises(CommandError) as caught:
        install()

    assert str(caught.value) == REFUSED


def test_the_lines_bear_the_time_that_was_asked_for_and_are_python():
    said = json.loads(install("--dry-run", "--json", "--at", "23:30"))

    scope: dict[str, Any] = {}
    exec(said["paste"], scope)
    assert scope["CELERY_BEAT_SCHEDULE"] == {
        "collect-garbage": {"task": COLLECT, "schedule": crontab(hour=23, minute=30)},
        "resume-collections": {"task": RESUME, "schedule": timedelta(minutes=10)},
    }
    assert said["entries"] == [
        {"task": COLLECT, "name": "", "state": "missing"},
        {"task": RESUME, "name": "", "state": "missing"},
    ]


@pytest.fixture
def celery_app() -> Iterator[Celery]:
    """Make a project's Celery app the one that its tasks belong to."""
    before = current_app._get_current_object()
    with Celery("own") as app:
        yield app
    before.set_current()


def test_what_the_settings_have_is_not_asked_for(celery_app):
    schedule = {"nightly": {"task": COLLECT, "schedule": 60}, "again": {"task": RESUME, "schedule": 60}}
    celery_app.conf.beat_schedule = schedule

    said = json.loads(install("--json"))

    assert said == {
        "entries": [
            {"task": COLLECT, "name": "nightly", "state": "in CELERY_BEAT_SCHEDULE"},
            {"task": RESUME, "name": "again", "state": "in CELERY_BEAT_SCHEDULE"},
        ],
        "paste": None,
    }


@pytest.mark.parametrize("wrong", ["3", "24:00", "12:60", "3:7", "noon", "-1:00", "٣:٠٧"])
def test_what_is_no_time_of_day_is_refused(wrong):
    with pytest.raises(CommandError, match=r"is no time of day\. Write hours and minutes, such as 03:07\."):
        install("--dry-run", f"--at={wrong}")
