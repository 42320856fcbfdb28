"""How are the chunks that nobody needs deleted?

By the collector that deletes versions, with the same limits, journal and dry run:

    events.collector(policy=RetentionPolicy(keep_for=timedelta(days=30))).run(dry_run=True, tell=print)

1. What may go is decided by `retiring`. It needs only what is listed: one LIST for a thousand chunks.
2. Right before chunks go, their streams are listed and decided about again, and what goes is compared with what covers
   it, event by event: one LIST for many chunks, and one GET for each that goes and each that covers. What changed,
   cannot be read, or differs, keeps what it covers. Of a stream whose end lets all go, nothing is compared.
3. Everything else is as for versions (see `core.collector`): idempotent, resumable, an error of one key stops no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from consistent_s3.core.collector import BaseCollector, Decides
from consistent_s3.core.errors import ConsistentS3Error, KeyMissingError
from consistent_s3.core.fates import Fate
from consistent_s3.core.pace import Pace
from consistent_s3.core.retention import Circumstances, Reason, RetentionPolicy
from consistent_s3.core.seams import Clock, DeleteFailure
from consistent_s3.core.span import Span
from consistent_s3.core.survey import FOREIGN, Group, Survey, listed
from consistent_s3.core.sweeping import BatchSweeper
from consistent_s3.eventstore.bodies import Body, as_json
from consistent_s3.eventstore.errors import DamagedStreamError
from consistent_s3.eventstore.fetching import Fetcher
from consistent_s3.eventstore.keys import Chunk, parse_chunk
from consistent_s3.eventstore.listing import StreamListing
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.retiring import Retirement, retire


@dataclass(slots=True, kw_only=True)
class StreamCollector(BaseCollector):
    """Deletes superseded chunks, and those of streams that were ended, from all streams of an event store.

    `policy.keep_for` says how long the events of an ended stream are kept. Names, where circumstances are asked for,
    are those of streams: `type/id`.
    """

    listing: StreamListing
    fetcher: Fetcher
    grace: timedelta
    clock: Clock

    def make_survey(self) -> Survey:
        """Return what shows all streams."""
        return StreamSurvey(listing=self.listing, clock=self.clock, pace=self.pace)

    def make_decider(self) -> Decides:
        """Return what decides about streams."""
        return StreamDecider(grace=self.grace)

    def make_sweeper(self, alive: Callable[[], object]) -> BatchSweeper:
        """Return what deletes chunks."""
        return StreamSweeper(
            circumstances=self.circumstances,
            pace=self.pace,
            alive=alive,
            policy=self.policy,
            listing=self.listing,
            fetcher=self.fetcher,
            grace=self.grace,
            clock=self.clock,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSurvey:
    """Lists all streams. Its places are keys."""

    listing: StreamListing
    clock: Clock
    pace: Pace = field(default_factory=Pace)
    alive: Callable[[], object] = lambda: None

    def groups(self, span: Span) -> Iterator[Group]:
        """Yield the chunks of each stream, and what belongs to none in groups without a name."""
        layout, group, inside = self.listing.layout, None, ""
        found = listed(self.listing.store, layout.root, span, clock=self.clock, pace=self.pace, alive=self.alive)
        for seen, info in found:
            parsed = layout.parse(info)
            if parsed is None:
                if group is None or (not info.key.startswith(inside) if group.name else group.foreign >= FOREIGN):
                    if group is not None:
                        yield group
                    group, inside = Group(name="", seen=seen), ""
                if not group.name:
                    group.end = info.key
                group.foreign += 1
                continue
            stream, chunk = parsed
            if group is None or group.name != stream.name:
                if group is not None:
                    yield group
                group = Group(name=stream.name, seen=seen, end=layout.after_stream(stream))
                inside = layout.stream_prefix(stream)
            group.versions.append((chunk.first, info))
        if group is not None:
            yield group

    def complete(self, groups: Sequence[Group]) -> None:
        """Nothing is missing."""

    def halve(self, span: Span) -> str:
        """Return no place: one pass goes through all streams."""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDecider:
    """Decides about one stream after the other."""

    grace: timedelta

    def fates(self, group: Group, circumstances: Circumstances) -> Iterator[Fate]:
        """Yield the fate of every chunk of a stream; no request."""
        chunks = [chunk for _, info in group.versions if (chunk := parse_chunk(info)) is not None]
        for found in retire(chunks, circumstances, group.seen, grace=self.grace):
            yield Fate(
                name=group.name,
                number=found.chunk.first,
                key=found.chunk.key,
                size=found.chunk.size,
                goes=found.goes,
                reason=found.reason,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSweeper(BatchSweeper):
    """Deletes chunks, after looking at their streams again."""

    policy: RetentionPolicy
    listing: StreamListing
    fetcher: Fetcher
    grace: timedelta
    clock: Clock
    _superseded: dict[str, Retirement] = field(default_factory=dict)
    """What goes of the batch because others cover it."""

    def _looked_up_again(self, batch: Sequence[Fate]) -> dict[str, Reason]:
        """Return what stays after all. A chunk that is not listed any more is gone already."""
        names = list(dict.fromkeys(fate.name for fate in batch))
        known, default = self.circumstances(names), Circumstances(policy=self.policy)
        stays: dict[str, Reason] = {}
        self._superseded.clear()
        for name in names:
            self.alive()
            now, chunks = self.clock.now(), self._listed(name)
            for found in retire(chunks, known.get(name, default), now, grace=self.grace):
                if not found.goes:
                    stays[found.chunk.key] = found.reason
                elif found.covering is not None:
                    self._superseded[found.chunk.key] = found
        return stays

    def _listed(self, name: str) -> list[Chunk]:
        self.pace.wait()
        return [chunk for page in self.listing.pages(stream_named(name)) for chunk in page]

    def _delete(self, going: Sequence[Fate]) -> dict[str, DeleteFailure]:
        """Delete what goes, unless what covers it does not show the same."""
        covered: dict[tuple[str, Chunk], list[Chunk]] = {}
        for fate in going:
            found = self._superseded.get(fate.key)
            if found is not None and found.covering is not None:
                covered.setdefault((fate.name, found.covering), []).append(found.chunk)
        failures: dict[str, DeleteFailure] = {}
        for (name, covering), chunks in covered.items():
            self.alive()
            failures.update({one.key: one for one in self._unlike(stream_named(name), covering, chunks)})
        failures.update(self._delete_from(self.listing.store, [fate for fate in going if fate.key not in failures]))
        return failures

    def _unlike(self, stream: Stream, covering: Chunk, chunks: Sequence[Chunk]) -> Iterator[DeleteFailure]:
        """Yield the chunks whose events another does not show, as far as anybody can say, and why."""
        self.pace.wait(requests=1 + len(chunks))
        ((_, shown),) = self.fetcher.fetch_each(stream, [covering])
        if isinstance(shown, ConsistentS3Error):
            code, message = type(shown).__name__, f"{covering.key!r}, which covers it: {shown}"
            yield from (DeleteFailure(key=chunk.key, code=code, message=message) for chunk in chunks)
            return
        for chunk, body in self.fetcher.fetch_each(stream, chunks):
            if isinstance(body, KeyMissingError):
                continue  # another collector was here
            if isinstance(body, ConsistentS3Error):
                message = f"It cannot be compared with {covering.key!r}, which covers it: {body}"
                yield DeleteFailure(key=chunk.key, code=type(body).__name__, message=message)
            elif position := _difference(body, shown):
                message = f"{covering.key!r}, which covers it, shows another event {position}. Find out which is right."
                yield DeleteFailure(key=chunk.key, code=DamagedStreamError.__name__, message=message)


def _difference(body: Body, covering: Body) -> int:
    """Return the first position at which a chunk shows another event than one that covers it; 0 for none."""
    both = zip(body.events, covering.events[body.first - covering.first :], strict=False)
    different = (position for position, (one, other) in enumerate(both, start=body.first) if not _same(one, other))
    return next(different, 0)


def _same(one: Any, other: Any) -> bool:
    return as_json(one) == as_json(other)


def stream_named(name: str) -> Stream:
    """Return the stream that people call so."""
    stream_type, _, stream_id = name.partition("/")
    return Stream(stream_type, stream_id)
