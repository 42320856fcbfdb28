"""Collections that survive their workers: begun once, cut into slices, gone on with by whoever is there.

1. One collection at a time for each place: a unique column says which. A dry run deletes nothing and excludes nobody.
2. A run is planned first and carried out when the plan is sound: it is refused as a whole where more than
   `max_delete_ratio` would go. With a ratio of 1 there is nothing to refuse, and it is carried out at once.
3. A slice belongs to one worker for as long as its lease; a dead worker's slice is anybody's when the lease is over.
4. A worker goes through its slice for a bounded time, a turn. What is left is cut in two where it can be, so that more
   workers find something to do.
5. Where the bucket is looked through, the storage's streams of events are, too, in a slice of their own at the end. Of
   these nothing goes that is read, so they count in no `max_delete_ratio`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, models, router, transaction
from django.utils import timezone

from consistent_s3 import leftovers, policies
from consistent_s3.core.collector import Limits
from consistent_s3.core.errors import AccessDeniedError
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.seams import EnumeratingIndex
from consistent_s3.core.span import Span
from consistent_s3.journal import LEASE, LeaseLostError, SliceJournal
from consistent_s3.models import CollectedObject, CollectionRun, CollectionSlice, digest
from consistent_s3.signals import collection_finished
from consistent_s3.slices import collector_of, goes_on_with_streams, survey_of
from consistent_s3.storage import ConsistentS3Storage

logger = logging.getLogger("consistent_s3.collection")

TURN = 30.0
"""Seconds for which a worker goes through a slice."""
PARALLEL = 16
"""Slices that a run is cut into at most, at a time."""
DEFAULT_RATIO = 0.5
"""What may go of a storage that says nothing, once it is more than `DEFAULT_RATIO_FROM` objects."""
APPROVED = 0.05
"""The part of all objects that may go beyond what was approved: some have come of age since."""
DEFAULT_RATIO_FROM = 1000
STOPPED = "Stopped on request. Everything else is left for the next run."

State = CollectionRun.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of a collection."""

    dry_run: bool = False
    started_by: str = ""
    lists_bucket: bool | None = None
    """Go through the bucket even where the index knows what may go: it finds what no row knows. `None`: as often as
    the storage's `strays_every` says."""
    max_delete_ratio: float | None = None
    """The part of all objects that may go at once; `None` for what the storage says."""
    max_seconds: float | None = None
    max_objects: int | None = None
    """About where to stop: names that are begun are finished."""
    approves: CollectionRun | None = None
    """The dry run that somebody has looked at: as much may go as it said, and a little more."""


def begin(alias: str, storage: ConsistentS3Storage, order: Order) -> CollectionRun:
    """Begin to collect a storage, and return the run; or the one that is under way there, to be gone on with."""
    place = place_of(storage)
    ratio, counts_from = _ratio(storage, order)
    plans = order.dry_run or ratio < 1
    lists_bucket = _lists_bucket(storage, place) if order.lists_bucket is None else order.lists_bucket
    try:
        with _atomic():
            run = CollectionRun.objects.create(
                storage=alias,
                place=place,
                active=None if order.dry_run else digest(place),
                state=State.PLANNING if plans else State.SWEEPING,
                swept_from=None if plans else timezone.now(),
                dry_run=order.dry_run,
                started_by=order.started_by,
                policy=policies.told(storage),
                lists_bucket=lists_bucket,
                max_delete_ratio=ratio,
                ratio_counts_from=counts_from,
                max_objects=order.max_objects,
                stops_at=_after(order.max_seconds),
                approves=order.approves,
            )
            CollectionSlice.objects.create(run=run, sweeps=not plans)
    except IntegrityError:
        active = CollectionRun.objects.filter(active=digest(place)).first()
        return active or begin(alias, storage, order)  # it has just ended
    return run


def claim(run: CollectionRun) -> CollectionSlice | None:
    """Return a slice that is nobody's, now ours; `None` if there is none, or the run has ended."""
    for found in _free(run):
        owner = secrets.token_hex(16)
        same = CollectionSlice.objects.filter(
            pk=found.pk, finished=None, owner=found.owner, leased_until=found.leased_until
        )
        if same.update(owner=owner, leased_until=timezone.now() + LEASE, turns=models.F("turns") + 1):
            return CollectionSlice.objects.select_related("run").get(pk=found.pk)
    return None


def is_left(run: CollectionRun) -> bool:
    """Return whether there is something to do, and nobody does it."""
    return run.is_active and not _claimed(run).exists()


def work(
    slice_: CollectionSlice,
    storage: ConsistentS3Storage,
    *,
    seconds: float | None = TURN,
    tell: Callable[[Fate], object] | None = None,
    progress: Callable[[CollectionRun], object] | None = None,
) -> int:
    """Go through a claimed slice for a turn, and then see whether the run has ended.

    Returns how many more workers find something to do now, this one included.

    Raises: what the store and the database raise; the slice is then nobody's. Nothing if the slice was taken over.
    """
    run = slice_.run
    journal = SliceJournal(slice=slice_, tells=not slice_.sweeps)
    try:
        rest = _turn(run, journal, storage, seconds=seconds, tell=tell, progress=progress)
        pieces = _put_down(journal, storage, rest)
    except LeaseLostError:
        logger.warning("%s: another worker goes on with a slice", run)
        return 0
    except BaseException as error:
        mine = CollectionSlice.objects.filter(pk=slice_.pk, owner=slice_.owner)
        mine.update(owner="", leased_until=None, failures=models.F("failures") + 1)
        if isinstance(error, AccessDeniedError):
            raise AccessDeniedError(f"{error} {leftovers.RIGHTS}") from error
        raise
    return pieces + settle(run, storage)


def settle(run: CollectionRun, storage: ConsistentS3Storage) -> int:
    """End the run, or its planning, if nothing is left to do. Returns how many slices there are new."""
    run.refresh_from_db()
    if not run.is_active:
        return 0
    if why := _exhausted(run):
        # What others are in the middle of, or have died in the middle of, is still to be counted.
        if not _claimed(run).exists() and not any(True for _ in _begun(run)):
            end(run, State.STOPPED, why)
        return 0
    if run.slices.filter(finished=None, sweeps=run.state == State.SWEEPING).exists():
        return 0
    if goes_on_with_streams(run, storage):
        return 1
    if run.state == State.SWEEPING:
        aborted = leftovers.abort_uploads(storage)
        end(run, State.DONE, leftovers.advice(storage, totals(run)), uploads_aborted=aborted)
        return 0
    planned = totals(run)
    if run.dry_run:
        end(run, State.DONE, uploads_aborted=leftovers.abort_uploads(storage, dry_run=True))
    elif _is_too_much(run, versions := _counted(run.slices.filter(sweeps=False, streams=False), dry_run=False)):
        end(run, State.REFUSED, _refusal(run, versions))
    else:
        return _begin_to_sweep(run, planned)
    return 0


def end(run: CollectionRun, state: str, message: str = "", *, uploads_aborted: int = 0) -> None:
    """End a run, whoever does it first, and tell about it."""
    if not run.is_active:
        return
    before = run.state
    values = {"state": state, "message": message, "finished": timezone.now(), "active": None}
    with _atomic():
        # Whoever is first writes first, and nobody counts anything more until it is told.
        if not CollectionRun.objects.filter(pk=run.pk, state=before).update(**values):
            return
        list(run.slices.select_for_update().order_by("pk").values_list("pk"))
        run.state = before
        counted = totals(run)
        counted.uploads_aborted += uploads_aborted
        told = ["planned"] if before == State.PLANNING else ["summary"]
        told = ["planned", "summary"] if run.dry_run else told
        CollectionRun.objects.filter(pk=run.pk).update(**dict.fromkeys(told, counted.as_dict()))
        run.slices.all().delete()
    run.refresh_from_db()
    _log(run, counted)
    collection_finished.send_robust(sender=CollectionRun, run=run)


def totals(run: CollectionRun) -> Summary:
    """Return what was counted in the part of a run that is under way."""
    return _counted(run.slices.filter(sweeps=run.state == State.SWEEPING), dry_run=run.dry_run)


def place_of(storage: ConsistentS3Storage) -> str:
    """Return what tells a bucket and location from others."""
    return f"{storage.bucket_name}/{storage.archive.layout.location}"


# How it is done


def _counted(slices: models.QuerySet[CollectionSlice], *, dry_run: bool) -> Summary:
    summary = Summary(dry_run=dry_run)
    for counted in slices.values_list("counted", flat=True):
        summary.add(Summary.from_dict(counted))
    return summary


def _turn(
    run: CollectionRun,
    journal: SliceJournal,
    storage: ConsistentS3Storage,
    *,
    seconds: float | None,
    tell: Callable[[Fate], object] | None,
    progress: Callable[[CollectionRun], object] | None,
) -> Span | None:
    dry_run = not journal.slice.sweeps
    told = tell if tell is not None and dry_run == run.dry_run else None

    def stop() -> bool:
        if progress is not None:
            progress(run)
        return bool(_exhausted(run, look=True))

    collector = collector_of(journal.slice, storage, alive=journal.alive)
    left = None if run.max_objects is None or dry_run else max(run.max_objects - totals(run).deleted, 0)
    summary = collector.run(
        dry_run=dry_run,
        tell=told,
        span=journal.span,
        limits=Limits(seconds=seconds, objects=left, stop=stop),
        journal=journal,
        intended=journal.intended(None if journal.slice.streams else storage.archive.index),
    )
    return summary.rest


def _put_down(journal: SliceJournal, storage: ConsistentS3Storage, rest: Span | None) -> int:
    """Give a slice back, finished or cut in two, and return how many pieces are left of it."""
    slice_ = journal.slice
    mine = CollectionSlice.objects.filter(pk=slice_.pk, owner=slice_.owner)
    if rest is None:
        if not mine.update(finished=timezone.now(), owner="", leased_until=None):
            raise LeaseLostError("Another worker goes on with this slice.")
        return 0
    run = slice_.run
    place = ""
    if not _exhausted(run) and run.slices.filter(finished=None, sweeps=slice_.sweeps).count() < PARALLEL:
        place = survey_of(slice_, storage).halve(rest)
    with _atomic():
        if not mine.update(until=place or slice_.until, owner="", leased_until=None):
            raise LeaseLostError("Another worker goes on with this slice.")
        if place:
            CollectionSlice.objects.create(run=run, sweeps=slice_.sweeps, after=place, until=slice_.until)
    return 2 if place else 1


def _begin_to_sweep(run: CollectionRun, planned: Summary) -> int:
    spans = list(run.slices.filter(sweeps=False).values_list("after", "until", "streams"))
    with _atomic():
        planning = CollectionRun.objects.filter(pk=run.pk, state=State.PLANNING)
        if not planning.update(state=State.SWEEPING, planned=planned.as_dict(), swept_from=timezone.now()):
            return 0
        CollectedObject.objects.filter(run=run).delete()
        CollectionSlice.objects.bulk_create(
            [
                CollectionSlice(run=run, sweeps=True, after=after, until=until, streams=streams)
                for after, until, streams in spans
            ]
        )
    run.refresh_from_db()
    return len(spans)


def _atomic() -> transaction.Atomic:
    return transaction.atomic(using=router.db_for_write(CollectionRun))


def _free(run: CollectionRun) -> list[CollectionSlice]:
    """Return slices that are nobody's, those first that had the fewest turns; of a run that stops, those begun."""
    run.refresh_from_db()
    if not run.is_active:
        return []
    if _exhausted(run):
        return [slice_ for slice_ in _begun(run) if slice_.leased_until is None or slice_.leased_until < timezone.now()]
    unowned = models.Q(leased_until=None) | models.Q(leased_until__lt=timezone.now())
    return list(_unfinished(run).filter(unowned).order_by("turns", "pk")[:PARALLEL])


def _unfinished(run: CollectionRun) -> models.QuerySet[CollectionSlice]:
    return CollectionSlice.objects.filter(run=run, finished=None, sweeps=run.state == State.SWEEPING)


def _claimed(run: CollectionRun) -> models.QuerySet[CollectionSlice]:
    return _unfinished(run).filter(leased_until__gte=timezone.now())


def _begun(run: CollectionRun) -> Iterator[CollectionSlice]:
    """Yield the slices of which a batch was noted and not counted."""
    return (slice_ for slice_ in _unfinished(run) if slice_.intended)


def _lists_bucket(storage: ConsistentS3Storage, place: str) -> bool:
    if not isinstance(storage.archive.index, EnumeratingIndex):
        return True
    since = timezone.now() - storage.rules.strays_every
    lately = CollectionRun.objects.filter(place=place, lists_bucket=True, dry_run=False, state=State.DONE)
    return not lately.filter(started__gte=since).exists()


def _ratio(storage: ConsistentS3Storage, order: Order) -> tuple[float, int]:
    """Return which part of all objects may go, and from how many that counts."""
    if order.max_delete_ratio is not None:
        return order.max_delete_ratio, 0
    given = storage.rules.max_delete_ratio
    ratio, counts_from = (DEFAULT_RATIO, DEFAULT_RATIO_FROM) if given is None else (given, 0)
    if order.approves is not None:
        approved = Summary.from_dict(order.approves.summary or order.approves.planned)  # a refused run has no summary
        part = approved.deleted / max(approved.deleted + approved.kept, 1)
        ratio = max(ratio, min(part + APPROVED, 1.0))
    return ratio, counts_from


def _is_too_much(run: CollectionRun, planned: Summary) -> bool:
    if run.max_delete_ratio is None or planned.deleted <= run.ratio_counts_from:
        return False
    return planned.deleted > run.max_delete_ratio * (planned.deleted + planned.kept)


def _refusal(run: CollectionRun, planned: Summary) -> str:
    return (
        f"{planned.deleted} of {planned.deleted + planned.kept} objects would go, more than "
        f"{100 * (run.max_delete_ratio or 0):g} %. Nothing was deleted. Look at the plan (run {run.pk} in the admin, "
        "or collect --dry-run). If it is what you want, approve it there, or collect with --max-delete-ratio 1; if "
        "not, correct the retention policy."
    )


def _exhausted(run: CollectionRun, *, look: bool = False) -> str:
    """Return why a run is to stop before its end; empty if it is not."""
    if look:
        run.stop_requested = CollectionRun.objects.values_list("stop_requested", flat=True).get(pk=run.pk)
    if run.stop_requested:
        return STOPPED
    if run.stops_at is not None and timezone.now() >= run.stops_at:
        return "Its time was over. Everything else is left for the next run."
    if run.max_objects is not None and run.state == State.SWEEPING and totals(run).deleted >= run.max_objects:
        return f"It was to stop after {run.max_objects} objects. Everything else is left for the next run."
    return ""


def _log(run: CollectionRun, counted: Summary) -> None:
    what = "dry run of" if run.dry_run else "planned" if run.state == State.REFUSED else "collected"
    logger.info(
        "%(what)s %(alias)s: %(deleted)d of %(scanned)d keys, %(bytes_freed)d bytes, %(error_count)d errors",
        {"what": what, "alias": run.storage, **counted.as_dict()},
        extra={"collection": {"run": run.pk, "state": run.state, **counted.as_dict()}},
    )
    if run.message and run.state != State.FAILED:  # that error is raised
        logger.warning("%s: %s", run, run.message)
    for error in counted.errors:
        logger.warning("kept %(key)s: %(code)s %(message)s", error)


def _after(seconds: float | None) -> datetime | None:
    return None if seconds is None else timezone.now() + timedelta(seconds=seconds)
