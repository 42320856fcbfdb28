"""Faults, stalls and interventions around an `ObjectStore`, one for each request of a kind."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from consistent_s3.core.errors import AnswerLostError
from consistent_s3.testing import ManualClock, MemoryObjectStore

Request = Callable[[], Any]
Fault = Callable[["Faulty", Request], Any]


class Faulty:
    """Passes requests on; the first of a kind meets the first of that kind's faults, and so forth.

    Kinds are the names of the methods of `ObjectStore`; puts of hints are a kind of their own, `hint`.
    """

    def __init__(self, store: MemoryObjectStore, **faults: list[Fault | None]) -> None:
        self.store = store
        self.faults: dict[str, list[Fault | None]] = defaultdict(list, faults)
        self.sent: list[tuple[str, str]] = []
        """Kind and key of every request."""
        self.late: list[Request] = []
        """Puts that have yet to land."""

    def count(self, kind: str) -> int:
        return sum(1 for sent, _ in self.sent if sent == kind)

    def keys(self, kind: str) -> list[str]:
        return [key for sent, key in self.sent if sent == kind]

    def land(self) -> None:
        """Let what was sent long ago arrive."""
        for request in self.late:
            request()
        self.late.clear()

    def put(self, key: str, body: Any, *, deadline: float | None = None, **options: Any) -> Any:
        kind = "hint" if ".-v-deleted/" in key else "put"
        body.seek(0)
        data = body.read()

        def request(*, deadline: float | None = deadline) -> Any:
            return self.store.put(key, io.BytesIO(data), deadline=deadline, **options)

        if deadline is not None and self.store.clock.monotonic() > deadline:  # nothing is sent that could be lost
            return request()
        return self._meet(kind, key, request)

    def __getattr__(self, kind: str) -> Any:
        method = getattr(self.store, kind)
        if kind not in {"get", "head", "list", "delete", "begin_upload", "put_part", "complete_upload", "abort_upload"}:
            return method
        return lambda key, *args, **options: self._meet(kind, key, lambda: method(key, *args, **options))

    def _meet(self, kind: str, key: str, request: Request) -> Any:
        self.sent.append((kind, key))
        fault = self.faults[kind].pop(0) if self.faults[kind] else None
        return request() if fault is None else fault(self, request)


def lost_after(_: Faulty, request: Request) -> Any:
    """Apply the request, and lose the answer."""
    request()
    raise AnswerLostError("The answer was lost.")


def lost_before(_: Faulty, request: Request) -> Any:
    """Lose the request on its way."""
    raise AnswerLostError("The answer was lost.")


def lands_late(store: Faulty, request: Any) -> Any:
    """Lose the answer, and apply the request when the test says `land`."""
    store.late.append(lambda: request(deadline=None))
    raise AnswerLostError("The answer was lost.")


def fails(error: Exception) -> Fault:
    """Refuse the request."""

    def fault(store: Faulty, request: Request) -> Any:
        raise error

    return fault


def stalls(clock: ManualClock, time: timedelta, then: Fault | None = None) -> Fault:
    """Let the process stand still before the request is sent."""

    def fault(store: Faulty, request: Request) -> Any:
        clock.advance(time)
        return request() if then is None else then(store, request)

    return fault


def meanwhile(action: Callable[[], object], then: Fault | None = None) -> Fault:
    """Let somebody else act before the request arrives."""

    def fault(store: Faulty, request: Request) -> Any:
        action()
        return request() if then is None else then(store, request)

    return fault


def afterwards(action: Callable[[], object]) -> Fault:
    """Let somebody else act between the request's arrival and its answer."""

    def fault(store: Faulty, request: Request) -> Any:
        answer = request()
        action()
        return answer

    return fault
