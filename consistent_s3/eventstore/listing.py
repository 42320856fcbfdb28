"""What does the bucket's listing tell of streams? One LIST shows a thousand chunks, the newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consistent_s3.core.seams import ObjectStore
from consistent_s3.eventstore.keys import Chunk, StreamLayout, parse_chunk
from consistent_s3.eventstore.names import Stream, from_segment

PAGE = 1000
"""Keys of one LIST."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamListing:
    """Asks the bucket. Right where LIST is strongly consistent."""

    store: ObjectStore
    layout: StreamLayout

    def newest(self, stream: Stream) -> Chunk | None:
        """Return the chunk with the stream's last event, or its tombstone, if it has any: one LIST of one key."""
        for page in self.pages(stream, limit=1):
            if page:
                return page[0]
        return None

    def pages(self, stream: Stream, *, start_after: str = "", limit: int = PAGE) -> Iterator[list[Chunk]]:
        """Yield the chunks of each page, newest first; what other software put among them is passed over."""
        prefix, token = self.layout.stream_prefix(stream), ""
        while True:
            page = self.store.list(prefix, start_after=start_after, token=token, limit=limit)
            yield [chunk for info in page.objects if (chunk := parse_chunk(info)) is not None]
            token, limit = page.token, PAGE
            if not token:
                return

    def ids(self, stream_type: str, *, after: str = "") -> Iterator[str]:
        """Yield the ids of a type's streams, those with a tombstone too, in the order of their keys, after an id."""
        start_after = self.layout.after_stream(Stream(stream_type, after)) if after else ""
        yield from self._folded(self.layout.types_prefix(stream_type), start_after)

    def types(self) -> Iterator[str]:
        """Yield the types that have streams, in the order of their keys."""
        yield from self._folded(self.layout.root, "")

    def _folded(self, prefix: str, start_after: str) -> Iterator[str]:
        token = ""
        while True:
            page = self.store.list(prefix, delimiter="/", start_after=start_after, token=token)
            for folded in page.prefixes:
                text = from_segment(folded.removeprefix(prefix).rstrip("/"))
                if text is not None:
                    yield text
            token = page.token
            if not token:
                return
