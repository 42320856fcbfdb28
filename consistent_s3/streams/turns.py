"""Who compacts all streams of a storage, when that takes longer than a worker should be kept?

A worker compacts for a turn, and gives the place where it stopped to the next. Each turn comes to at least one stream
more, so it ends; and what is delivered twice, or was begun by a worker that died, finds little left to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from consistent_s3.errors import CompactionFailedError
from consistent_s3.streams.stores import event_store
from consistent_s3.streams.walking import compact_all

logger = logging.getLogger("consistent_s3.streams")

TURN = 30.0
"""Seconds for which a worker compacts before it gives the rest to another."""


def compact_for_a_turn(
    storage: str, stream_type: str, *, after: str, storage_class: str, go_on: Callable[[str], object]
) -> dict[str, Any]:
    """Compact the streams of a storage for a turn, and return what was counted, fit for JSON.

    `go_on` is told where the next turn begins, if there is more.

    Raises: `ImproperlyConfigured`; `CompactionFailedError` when all were tried, if one could not be compacted.
    """
    done = compact_all(
        event_store(storage), stream_type=stream_type, after=after, storage_class=storage_class, seconds=TURN
    )
    if done.rest:
        go_on(done.rest)
    logger.info("compacted %d of %d streams of %s", done.compacted, done.streams, storage)
    if done.failures:
        told = " ".join(f"{name}: {failure}" for name, failure in sorted(done.failures.items())[:10])
        raise CompactionFailedError(
            f"{len(done.failures)} streams of {storage!r} could not be compacted. {told} See `manage.py consistent_s3 "
            "events verify`."
        )
    return done.as_dict()
