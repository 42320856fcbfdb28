"""Bugs planted in the event store on purpose, one at a time: the simulation of streams must be able to fail."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core import claiming
from consistent_s3.core.errors import (
    AnswerLostError,
    KeyMissingError,
    NumberTakenError,
    OutcomeUnknownError,
    PreconditionTrippedError,
)
from consistent_s3.core.protocol import Timing
from consistent_s3.core.seams import ListPage, ObjectStore, PutMode
from consistent_s3.eventstore import appending, bodies, collecting, fetching, folding, measuring, reading, retiring
from consistent_s3.eventstore.appending import Appender, Landed
from consistent_s3.eventstore.cover import Cover, Piece
from consistent_s3.eventstore.fetching import Fetcher
from consistent_s3.eventstore.folding import Folder
from consistent_s3.eventstore.measuring import VersionTeller
from consistent_s3.eventstore.seen import Seen
from consistent_s3.testing.stream_buckets import WatchedBucket
from consistent_s3.testing.stream_worlds import StreamPlan, StreamWorld, plan_of
from consistent_s3.testing.worlds import RATES

Patch = pytest.MonkeyPatch
FAR = 10.0**9


def unwatched(patch: Patch) -> None:
    """Let chunks be collected without a word, so that it takes a client to see what comes of it."""
    patch.setattr(WatchedBucket, "_judge", lambda self, key: self.happened.update(collected=1))


# Appending


def ids_are_not_looked_at(patch: Patch) -> None:
    """Whoever sends again is told that another was first, although the events are its own."""
    patch.setattr(Appender, "_has", lambda *arguments: False)


def retry_appends_twice(patch: Patch) -> None:
    """What does not fit any more is appended at the end instead."""
    real = appending._conflict

    def passes(stream: Any, expected: Any, actual: int) -> Any:
        return None if isinstance(expected, int) and expected < actual else real(stream, expected, actual)

    patch.setattr(appending, "_conflict", passes)


def lost_means_not_written(patch: Patch) -> None:
    """A 5xx or a timeout is taken for a failure, and the events are sent for the next position."""

    def take(self: Any, claim: Any, file: Any, attributes: Any) -> Any:
        try:
            return self.store.put(claim.key, file, mode=PutMode.CREATE, attributes=attributes, deadline=claim.deadline)
        except (AnswerLostError, PreconditionTrippedError):
            raise NumberTakenError from None

    patch.setattr(claiming.Claimer, "take", take)


def tripped_means_ours(patch: Patch) -> None:
    """A 412 is taken for the answer to an earlier attempt of one's own."""
    real = claiming.Claimer.whose

    def believe(self: Any, claim: Any) -> Any:
        verdict, receipt = real(self, replace(claim, write_id=written_by(self.store, claim.key)))
        return verdict, receipt

    def written_by(store: ObjectStore, key: str) -> str:
        try:
            return claiming.from_head(store.head(key)).write_id
        except KeyMissingError:
            return ""

    patch.setattr(claiming.Claimer, "whose", believe)


def unknown_means_written(patch: Patch) -> None:
    real = Appender._put

    def hope(self: Any, *arguments: Any, **rest: Any) -> None:
        try:
            real(self, *arguments, **rest)
        except OutcomeUnknownError:
            return

    patch.setattr(Appender, "_put", hope)


def unknown_names_another_version(patch: Patch) -> None:
    """Who named no version is told to append after another version than the one that it was sent after."""
    real = Appender._put

    def mislead(self: Any, *arguments: Any, **rest: Any) -> None:
        try:
            real(self, *arguments, **rest)
        except OutcomeUnknownError as error:
            error.number += 1
            raise

    patch.setattr(Appender, "_put", mislead)


def cleans_up_after_unknown(patch: Patch) -> None:
    """An append of unknown outcome deletes the key that it wanted."""
    real = Appender._put

    def clean_up(self: Any, stream: Any, learned: Any, *arguments: Any, **rest: Any) -> None:
        try:
            real(self, stream, learned, *arguments, **rest)
        except OutcomeUnknownError:
            self.listing.store.delete([self.listing.layout.chunk_key(stream, learned.version + 1)])
            raise

    patch.setattr(Appender, "_put", clean_up)
    unwatched(patch)


def expected_version_is_taken_for_the_end(patch: Patch) -> None:
    """The version that a writer names is believed without asking the stream: a gap, or an event in another's place."""
    real = Appender._known

    def believe(self: Any, stream: Any, expected: Any) -> Any:
        exact = appending._exact(expected)
        return real(self, stream, expected) if exact is None else Seen(exact, self.clock.monotonic())

    patch.setattr(Appender, "_known", believe)


def append_is_two_chunks(patch: Patch) -> None:
    real = Appender.append

    def halves(self: Any, stream: Any, records: Any, expected: Any, *, snapshot: Any) -> Landed:
        if len(records) == 1 or isinstance(expected, int):
            return real(self, stream, records, expected, snapshot=snapshot)
        landed = real(self, stream, records[:1], expected, snapshot=None)
        real(self, stream, records[1:], landed.first, snapshot=None)
        return landed

    patch.setattr(Appender, "append", halves)


def version_is_known_for_ever(patch: Patch) -> None:
    """A version that was seen long ago is appended to: its key may have been used, covered and collected."""

    def known(self: Any, stream: Any, expected: Any) -> Any:
        seen = self.seen.since(stream, -FAR)
        if seen is not None and appending._conflict(stream, expected, seen.version) is None:
            return Seen(seen.version, self.clock.monotonic())
        return self.learn(stream)

    patch.setattr(Appender, "_known", known)


def append_is_sent_however_late(patch: Patch) -> None:
    """The write deadline is ignored: an append in flight takes a key that was covered and collected meanwhile."""
    real = claiming.Claimer.take
    patch.setattr(claiming.Claimer, "take", lambda self, claim, *rest: real(self, replace(claim, deadline=FAR), *rest))


def tombstone_is_passed_over(patch: Patch) -> None:
    patch.setattr(VersionTeller, "version", lambda self, newest, stream: newest.last if newest else 0)


# Reading and folding


def reader_mixes_chunk_versions(patch: Patch) -> None:
    """All chunks of a range are read, one after the other, also those that show the same events."""

    def all_of_them(chunks: Any, *, first: int, last: int) -> Cover:
        wanted = [chunk for chunk in chunks if chunk.count and chunk.last >= first and chunk.first <= last]
        wanted.sort(key=lambda chunk: (chunk.first, -chunk.version))
        pieces = [Piece(chunk=chunk, first=max(first, chunk.first), last=min(last, chunk.last)) for chunk in wanted]
        return Cover(pieces=tuple(pieces))

    patch.setattr(reading, "cover", all_of_them)


def reader_passes_over_what_is_gone(patch: Patch) -> None:
    def fetch_what_is_there(self: Any, stream: Any, pieces: Any) -> Generator[Any, None, None]:
        for piece in pieces:
            with suppress(KeyMissingError):
                yield piece, self.fetch(stream, piece.chunk)

    patch.setattr(Fetcher, "fetch_all", fetch_what_is_there)


def reader_begins_again(patch: Patch) -> None:
    """After a chunk was gone, the range is read from its beginning."""
    patch.setattr(reading, "_past", lambda wanted, piece: wanted)


def snapshot_of_another_schema_is_used(patch: Patch) -> None:
    def any_snapshot(self: Any, body: Any, schema_version: Any, until: int) -> Any:
        return next(((kept, kept.state) for kept in body.snapshots if kept.position <= until), None)

    patch.setattr(Folder, "_newest_snapshot", any_snapshot)


def events_in_a_snapshot_are_folded_again(patch: Patch) -> None:
    real = folding._after
    patch.setattr(folding, "_after", lambda body, found, last, **rest: real(body, None, last, **rest))


def snapshot_is_taken_for_that_of_the_newest(patch: Patch) -> None:
    """A snapshot counts as the state after its chunk, although more events of the chunk came after it."""
    real = Folder._newest_snapshot

    def newest(self: Any, body: Any, schema_version: Any, until: int) -> Any:
        found = real(self, body, schema_version, until)
        return None if found is None else (replace(found[0], position=until), found[1])

    patch.setattr(Folder, "_newest_snapshot", newest)


def what_a_fold_left_is_written(patch: Patch) -> None:
    """Events are written again as they are after the fold, which may have changed their data."""
    real = folding.pack

    class Late:
        """An event whose JSON is not made before it is written."""

        def __init__(self, event: Any) -> None:
            self.event = event

    def pack_late(stream: Any, first: int, events: Any, **rest: Any) -> bytes:
        return real(stream, first, [bodies.as_json(late.event) for late in events], **rest)

    patch.setattr(folding, "as_json", Late)
    patch.setattr(folding, "pack", pack_late)


# Compacting and collecting


def rewrites_however_late(patch: Patch) -> None:
    """A chunk that was listed long ago is written again: its key may have been used and collected meanwhile."""
    patch.setattr(Timing, "rewritable", timedelta(days=1000))


def collects_at_once(patch: Patch) -> None:
    """Grace is ignored by the collector."""
    for module in (collecting, retiring):
        patch.setattr(module, "retire", retire_without_grace)


real_retire = retiring.retire


def retire_without_grace(chunks: Any, circumstances: Any, now: Any, *, grace: Any) -> Any:
    return real_retire(chunks, circumstances, now, grace=timedelta(0))


def collects_under_an_append(patch: Patch) -> None:
    """What is covered is collected at once, and an append that is on its way takes its key again."""
    collects_at_once(patch)
    append_is_sent_however_late(patch)
    unwatched(patch)


def age_counts_from_its_own_writing(patch: Patch) -> None:
    """A chunk that is old enough itself goes as soon as it is covered."""

    def own_age(chunks: Any, circumstances: Any, now: Any, *, grace: Any) -> Any:
        eager = {found.chunk.key: found for found in retire_without_grace(chunks, circumstances, now, grace=grace)}
        return [
            eager[found.chunk.key] if now - found.chunk.modified >= grace else found
            for found in real_retire(chunks, circumstances, now, grace=grace)
        ]

    patch.setattr(collecting, "retire", own_age)


def chunks_cover_each_other(patch: Patch) -> None:
    """Of two chunks with the same events each is taken for covered."""

    def by_each_other(chunks: Any, by: Any) -> Iterator[Any]:
        for chunk in chunks:
            for other in by:
                if other.key != chunk.key and other.first <= chunk.first and chunk.last <= other.last:
                    yield chunk.key, other

    patch.setattr(retiring, "_covered", by_each_other)
    unwatched(patch)


def tombstone_is_collected(patch: Patch) -> None:
    def all_goes(chunks: Any, circumstances: Any, now: Any, *, grace: Any) -> Any:
        return [
            replace(found, goes=True) if found.chunk.tombstone and now - found.chunk.modified >= grace else found
            for found in real_retire(chunks, circumstances, now, grace=grace)
        ]

    patch.setattr(collecting, "retire", all_goes)
    unwatched(patch)


# Sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class TellsOtherSizes:
    """A gateway that encrypts: what it lists is 16 bytes larger than what was written."""

    inner: ObjectStore

    def list(self, *arguments: Any, **rest: Any) -> ListPage:
        page = self.inner.list(*arguments, **rest)
        return replace(page, objects=tuple(replace(info, size=info.size + 16) for info in page.objects))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Everywhere(set[str]):
    """Every place there is."""

    def __contains__(self, place: object) -> bool:
        return True


def size_is_believed(patch: Patch) -> None:
    """Nobody compares the size that the listing tells with what was read."""
    patch.setattr(measuring, "truthful", Everywhere())
    real = bodies.unpack
    patch.setattr(fetching, "unpack", lambda data, stream, chunk: real(data, stream, honest(data, chunk)))


def honest(data: bytes, chunk: Any) -> Any:
    return replace(chunk, size=len(data), count=chunk.count if chunk.version else len(data) % 1024)


ENDS: dict[str, Any] = {"ends": True}
SLOW_FOLDERS: dict[str, Any] = {
    "folders": 6,
    "streams": (("order", "7"),),
    "rates": replace(RATES, stall=0.05, stall_after=0.05),
}
GATEWAY: dict[str, Any] = {"wrap": lambda store: TellsOtherSizes(inner=store)}

PLANTED: list[tuple[Callable[[Patch], None], dict[str, Any], int]] = [
    (ids_are_not_looked_at, {}, 20),
    (retry_appends_twice, {}, 20),
    (lost_means_not_written, {}, 20),
    (tripped_means_ours, {}, 20),
    (unknown_means_written, {}, 40),
    (unknown_names_another_version, {}, 100),
    (cleans_up_after_unknown, {}, 100),
    (expected_version_is_taken_for_the_end, {}, 20),
    (append_is_two_chunks, {}, 20),
    (version_is_known_for_ever, {}, 100),
    (append_is_sent_however_late, {}, 100),
    (tombstone_is_passed_over, ENDS, 20),
    (reader_mixes_chunk_versions, {}, 20),
    (reader_passes_over_what_is_gone, {}, 20),
    (reader_begins_again, {}, 20),
    (snapshot_of_another_schema_is_used, {}, 20),
    (events_in_a_snapshot_are_folded_again, {}, 20),
    (snapshot_is_taken_for_that_of_the_newest, {}, 40),
    (what_a_fold_left_is_written, {}, 20),
    (rewrites_however_late, SLOW_FOLDERS, 100),
    (collects_at_once, {}, 20),
    (collects_under_an_append, {}, 100),
    (age_counts_from_its_own_writing, {}, 20),
    (chunks_cover_each_other, {}, 20),
    (tombstone_is_collected, ENDS, 40),
    (size_is_believed, GATEWAY, 20),
]
"""Each bug, where it hurts, and the seeds within which it must be caught."""


def caught_within(seeds: int, *, wrap: Any = None, **changes: Any) -> int | None:
    """Return the first seed that violates the promise."""
    plans: Callable[[int], StreamPlan] = (lambda _: StreamPlan(**changes)) if changes else plan_of
    return next((seed for seed in range(seeds) if StreamWorld(seed, plans(seed), wrap=wrap).run().violations), None)


@pytest.mark.parametrize(
    ("bug", "changes", "seeds"), [pytest.param(*planted, id=planted[0].__name__) for planted in PLANTED]
)
def test_a_bug_planted_in_streams_is_caught(bug, changes, seeds, monkeypatch):
    bug(monkeypatch)

    caught = caught_within(seeds, **changes)

    assert caught is not None, f"{bug.__name__} was not caught within {seeds} seeds"
