"""Answers that a store gives when it does not want to: put in the place of the real one by botocore's own hook."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSResponse

from consistent_s3.clients import shared_client
from consistent_s3.storage import ConsistentS3Storage


class _Body(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@contextmanager
def answering(storage: ConsistentS3Storage, status: int, code: str, *operations: str) -> Iterator[None]:
    """Answer some operations (`PutObject` ...) of a storage with an error, without asking the server."""

    def answer(*, request: Any, **_: Any) -> AWSResponse:
        body = f"<Error><Code>{code}</Code><Message>{code} for a test.</Message></Error>"
        return AWSResponse(request.url, status, {"content-type": "application/xml"}, _Body(body.encode()))

    events = shared_client(storage).meta.events
    names = [f"before-send.s3.{operation}" for operation in operations]
    for name in names:
        events.register(name, answer)
    try:
        yield
    finally:
        for name in names:
            events.unregister(name, answer)
