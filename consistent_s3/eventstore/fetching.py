"""How are chunks fetched: whole, checked, and several at a time, yet in order?"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from consistent_s3.core.errors import ConsistentS3Error, UnreachableError
from consistent_s3.core.seams import Clock, ObjectInfo, ObjectStore
from consistent_s3.eventstore.bodies import Body, unpack
from consistent_s3.eventstore.cover import Piece
from consistent_s3.eventstore.keys import Chunk, parse_chunk
from consistent_s3.eventstore.names import Stream

TRIES = 5
"""How often a GET that breaks off is sent in all."""
PART = 1024 * 1024
"""Bytes read at a time."""

Wanted = TypeVar("Wanted")
Got = TypeVar("Got")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Gets the bodies of chunks. Safe in many threads."""

    store: ObjectStore
    clock: Clock
    chance: random.Random
    prefetch: int
    """How many GETs are under way at once."""

    def fetch(self, stream: Stream, chunk: Chunk) -> Body:
        """Return what a chunk holds: one GET.

        Raises: `KeyMissingError` if it is gone, `DamagedStreamError` if it is not what its key says, and what the store
        raises.
        """
        return unpack(self._bytes(chunk.key), stream, chunk)

    def fetch_appended(self, stream: Stream, key: str) -> Body:
        """Return what a chunk holds that was not listed. Raises: as `fetch`."""
        data = self._bytes(key)
        info = ObjectInfo(key=key, size=len(data), etag="", modified=self.clock.now())
        chunk = parse_chunk(info)
        if chunk is None:  # pragma: no cover - keys come from the layout
            raise ValueError(f"{key!r} is no key of a chunk.")
        return unpack(data, stream, chunk)

    def fetch_all(self, stream: Stream, pieces: Sequence[Piece]) -> Generator[tuple[Piece, Body], None, None]:
        """Yield what some pieces' chunks hold, in order, while the next are on their way.

        Raises: as `fetch`, when it is that piece's turn.
        """
        return self._ahead(pieces, lambda piece: self.fetch(stream, piece.chunk))

    def fetch_each(
        self, stream: Stream, chunks: Sequence[Chunk]
    ) -> Generator[tuple[Chunk, Body | ConsistentS3Error], None, None]:
        """Yield what each chunk holds, in order, or the error that tells why nobody can say.

        Raises: `UnreachableError`.
        """

        def fetched(chunk: Chunk) -> Body | ConsistentS3Error:
            try:
                return self.fetch(stream, chunk)
            except UnreachableError:
                raise
            except ConsistentS3Error as error:
                return error

        return self._ahead(chunks, fetched)

    def _ahead(
        self, wanted: Sequence[Wanted], get: Callable[[Wanted], Got]
    ) -> Generator[tuple[Wanted, Got], None, None]:
        """Yield what one after the other gets while the next are on their way.

        Who breaks off waits for nothing: what was sent comes back to nobody.
        """
        if self.prefetch <= 1 or len(wanted) <= 1:
            for one in wanted:
                yield one, get(one)
            return
        pool = ThreadPoolExecutor(min(self.prefetch, len(wanted)), thread_name_prefix="consistent-s3-chunks")
        waiting: deque[tuple[Wanted, Future[Got]]] = deque()
        try:
            for one in wanted:
                waiting.append((one, pool.submit(get, one)))
                if len(waiting) >= self.prefetch:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _bytes(self, key: str) -> bytes:
        for failures in range(1, TRIES + 1):
            try:
                with closing(self.store.get(key)) as download:
                    return b"".join(iter(lambda: download.read(PART), b""))
            except UnreachableError:
                if failures == TRIES:
                    raise
                self.clock.sleep(0.05 * 2**failures * (0.5 + self.chance.random()))
        raise AssertionError("unreachable")  # pragma: no cover
