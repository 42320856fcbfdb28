"""Is there a Celery worker to go on with a run that a page has begun?"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from consistent_s3.collection import logger
from consistent_s3.models import CollectionRun

TRIES = 1
SECONDS = 3.0
"""How long a page waits for a broker."""


def hand_over(run: CollectionRun) -> bool:
    """Give a run to this project's Celery workers, and return whether their broker took it.

    It does not where Celery is not installed, where the project has configured no broker, and where that does not
    answer in a few seconds. The run is left as it is then, for `manage.py consistent_s3 collect --run`.
    """
    try:
        tasks: Any = import_module("consistent_s3.tasks")
    except ImportError:  # Celery is an extra
        return False
    app = tasks.collect_slice.app
    if app.conf.task_always_eager:
        tasks.collect_slice.apply_async((run.pk,))
        return True
    if not (app.conf.broker_write_url or app.conf.broker_url):
        return False
    unreachable = import_module("kombu.exceptions").OperationalError
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=TRIES, interval_start=0, timeout=SECONDS)
            tasks.collect_slice.apply_async((run.pk,), connection=connection, retry=False)
    except (unreachable, OSError) as error:
        logger.warning("run %s waits for somebody to go on with it: the broker does not answer: %s", run.pk, error)
        return False
    return True
