"""The walk's batch job: it is killed in the middle of its work, sent again, and nothing is missing or done twice."""

import os
import secrets
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from django.core.files.storage import default_storage

from archive.tasks import JOBS, plan_stock_taking, take_stock
from demo.checklist import Checklist, wait_until

SECONDS_EACH = 0.3
UNTIL_KILLED = 2.0
"""The same for the task that is to be killed: it must not be done before anybody has looked."""
PATIENCE = 120
"""Seconds for the worker to get to it: it may be collecting."""


def kill_and_resume(see: Checklist, check_services: Callable[[], None], worker: int) -> None:
    """Have the worker's process killed by SIGKILL while it works through a job."""
    job = f"stock-{secrets.token_hex(4)}"
    names = [f"{place}/{name}" for place in ("documents", "covers") for name in default_storage.listdir(place)[1]]
    plan_stock_taking(job, names)
    take_stock.delay(job, UNTIL_KILLED)
    begun = wait_until(lambda: len(_done(job)) >= 2, seconds=PATIENCE, meanwhile=check_services)
    see.see(begun is not None, f"a task takes stock of {len(names)} files, and notes each", instead=JOBS.read(job))

    first = JOBS.read(job)["process"]
    see.see(_parent(first) in {worker, None}, f"it runs in process {first} of the worker", instead=_parent(first))
    os.kill(first, signal.SIGKILL)
    done = _done(job)
    see.see(len(done) < len(names), f"process {first} was killed after {len(done)} of them", instead=done)

    take_stock.delay(job, SECONDS_EACH)
    took = wait_until(lambda: len(_done(job)) == len(names), seconds=PATIENCE, meanwhile=check_services)
    state = JOBS.read(job)
    see.see(took is not None, "sent again, the task went on where it was, and came to its end", instead=state)
    see.see(state["process"] != first, f"in process {state['process']}, {took:.1f} s later", instead=first)
    total = sum(default_storage.size(name) for name in names)
    see.same(
        (sorted(state["done"]), state["bytes"]), (sorted(names), total), "no file is missing, and none counts twice"
    )
    steps = [document.read() for document in JOBS.history(job)]
    most = max(len(later["done"]) - len(earlier["done"]) for later, earlier in pairwise(steps))
    see.same(most, 1, f"its history has every step, one file at a time, in {len(steps)} versions")


def _done(job: str) -> list[str]:
    return JOBS.read(job)["done"]


def _parent(process: int) -> int | None:
    """Return the parent of a process, where the system tells."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
