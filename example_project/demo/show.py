"""The demo for a person: what to look at, and what the worker does meanwhile."""

import json
import select
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from archive.models import Document
from demo import samples
from demo.filling import ADMIN, STAFF
from demo.services import Services

MONTH = timedelta(days=30)
LOOK_EVERY = 0.5
"""Seconds between two looks at what happened."""

Say = Callable[[str], None]


def welcome(say: Say, services: Services, password: str, script: Path, *, own_bucket: bool) -> None:
    """Say where it is and what to try."""
    prices, withdrawn = (Document.objects.get(title=title) for title in (samples.AGED, samples.WITHDRAWN))
    say(f"\nThe archive     {services.address}/")
    say(f"For the staff   {services.address}{reverse('admin:index')}")
    say(f"Log in as       {', '.join([*STAFF, ADMIN])}")
    say(f"Password        {password}")
    say("\nTry this:")
    say(f"  - Look back:     {services.address}{_history(prices)}")
    say(f"  - Bring back:    {services.address}{_history(withdrawn)}")
    say(f"  - Replace a file and say why, as ann and as bob in two browsers: {services.address}{_change(prices)}")
    if own_bucket and _somebody_types():
        say("  - Press Enter here: a month passes, and the worker collects what became too old.")
    say("  - In another terminal:")
    say(f"      . {script}")
    say(f"      {sys.executable} {sys.argv[0]} consistent_s3 collect --dry-run")
    say(f"      tail -f '{services.worker.log}'")
    say("\nCtrl-C stops everything and removes it.\n")


def keep_running(say: Say, results: Path, check_services: Callable[[], None], age: Callable[[], int] | None) -> None:
    """Tell what the worker collects, and let months pass, until interrupted or a service dies."""
    told: set[Path] = set()
    listening = age is not None and _somebody_types()
    while True:
        check_services()
        for line in _collections(results, told):
            say(line)
        if not listening:
            time.sleep(LOOK_EVERY)
        elif select.select([sys.stdin], [], [], LOOK_EVERY)[0]:
            listening = sys.stdin.readline() != ""
            if listening and age is not None:
                say(f"{time.strftime('%X')}  a month passed: {age()} objects are 30 days older")


def _collections(results: Path, told: set[Path]) -> Iterator[str]:
    """Yield a line for each collection that deleted something and was not told yet."""
    for file in set(results.glob("celery-task-meta-*")) - told:
        try:
            task = json.loads(file.read_text())
        except ValueError:
            continue  # it is being written; look again
        told.add(file)
        if task["status"] != "SUCCESS":
            yield f"{time.strftime('%X')}  the worker failed: {task['result']}"
            continue
        for summary in task["result"].values():
            if summary["deleted"]:
                size = filesizeformat(summary["bytes_freed"])
                went = f"{summary['deleted']} of {summary['scanned']} objects ({size})"
                yield f"{time.strftime('%X')}  the worker collected {went}"


def _somebody_types() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _change(document: Document) -> str:
    return reverse("admin:archive_document_change", args=[document.pk])


def _history(document: Document) -> str:
    return reverse("admin:archive_document_versions", args=[document.pk, "file"])
