"""A batch job that keeps its state: however often it is killed, it goes on where it was."""

import os
import time
from typing import Any

from celery import shared_task
from django.core.files.storage import default_storage

from consistent_s3.state import StateStore

JOBS = StateStore[dict[str, Any]](prefix="jobs")


def plan_stock_taking(job: str, names: list[str]) -> None:
    """Write down what is to be done. A job of that name that is there already is an error."""
    JOBS.write(job, {"names": names, "done": [], "bytes": 0, "process": None}, expected=0)


@shared_task(acks_late=True, reject_on_worker_lost=True, ignore_result=True)
def take_stock(job: str, seconds_each: float = 0.0) -> None:
    """Add up the sizes of a job's files. Delivered twice, or two at once, it counts each file once."""
    state = JOBS.update(job, _begin)
    for name in state["names"]:
        if name not in state["done"]:
            size = default_storage.size(name)
            time.sleep(seconds_each)  # as if there were more to do
            state = JOBS.update(job, lambda state, name=name, size=size: _count(state, name, size))


def _begin(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "process": os.getpid()}


def _count(state: dict[str, Any], name: str, size: int) -> dict[str, Any]:
    """Return the next state: that a file is done, and what came of it, are written together or not at all."""
    if name in state["done"]:
        return state  # somebody else was first; the same value writes nothing
    return {**state, "done": [*state["done"], name], "bytes": state["bytes"] + size}
