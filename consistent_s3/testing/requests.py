"""How many requests did a block send to the store?

    with assert_requests(storage, LIST=1, GET=1):
        storage.open("report.pdf").read()

Counts every HTTP request that boto3 sends for the storage's client, repeated attempts included.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from consistent_s3.clients import shared_client

WORDS = {
    "PutObject": "PUT",
    "GetObject": "GET",
    "HeadObject": "HEAD",
    "ListObjectsV2": "LIST",
    "DeleteObjects": "DELETE",
    "CreateMultipartUpload": "BEGIN",
    "UploadPart": "PART",
    "CompleteMultipartUpload": "COMPLETE",
    "AbortMultipartUpload": "ABORT",
}
"""What each operation of S3 is called here; others go by their own name."""


class RequestLog:
    """Counts requests by word."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.ranges: list[str] = []
        """The `Range` of each GET, empty for a whole object."""
        self._lock = threading.Lock()

    def note(self, *, event_name: str, request: Any, **_: Any) -> None:
        """Count one request; botocore calls it with what it is about to send."""
        operation = event_name.rpartition(".")[2]
        with self._lock:
            self.counts[WORDS.get(operation, operation)] += 1
            if operation == "GetObject":
                value = request.headers.get("Range", b"")
                self.ranges.append(value.decode() if isinstance(value, bytes) else str(value))


@contextmanager
def count_requests(storage: Any) -> Iterator[RequestLog]:
    """Yield a log of the requests that the block sends through a storage's client, in any thread."""
    events, log = shared_client(storage).meta.events, RequestLog()
    events.register("before-send.s3", log.note)
    try:
        yield log
    finally:
        events.unregister("before-send.s3", log.note)


@contextmanager
def assert_requests(storage: Any, **expected: int) -> Iterator[RequestLog]:
    """Fail with `AssertionError` unless the block sends exactly these requests, for instance `LIST=1, GET=1`."""
    with count_requests(storage) as log:
        yield log
    sent = {word: count for word, count in sorted(log.counts.items()) if count}
    wanted = {word: count for word, count in sorted(expected.items()) if count}
    if sent != wanted:
        raise AssertionError(f"Sent {_words(sent)}; expected {_words(wanted)}.")


def _words(counts: dict[str, int]) -> str:
    return " + ".join(f"{count} {word}" for word, count in counts.items()) or "nothing"
