"""How is a batch of what was decided carried out?

1. What may have changed since is looked up again right before: holds, references, and what an index calls newest or
   committed. What is kept for it, and what the store keeps, is told.
2. Idempotent: a batch that was carried out before, or by half, ends in the same state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from consistent_s3.core.archive import Archive
from consistent_s3.core.archiving import archive_version
from consistent_s3.core.errors import KeyMissingError, StoreError, UnreachableError
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.pace import Pace
from consistent_s3.core.retention import Circumstances, Reason
from consistent_s3.core.seams import DELETE_BATCH, CommittingIndex, DeleteFailure, EnumeratingIndex, ObjectStore
from consistent_s3.core.versions import Version

Lookup = Callable[[Sequence[str]], Mapping[str, Circumstances]]
"""Answers, for some names, what the project knows of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSweeper(ABC):
    """Carries out one batch after the other."""

    circumstances: Lookup
    pace: Pace = field(default_factory=Pace)
    alive: Callable[[], object] = lambda: None
    """Hears that the work goes on."""

    @abstractmethod
    def _looked_up_again(self, batch: Sequence[Fate]) -> dict[str, Reason]:
        """Return the keys of a batch that stay after all, and why."""

    @abstractmethod
    def _delete(self, going: Sequence[Fate]) -> dict[str, DeleteFailure]:
        """Delete what goes, and return what the store kept, by key."""

    def carry_out(self, batch: Sequence[Fate], counts: Iterable[Summary]) -> list[Fate]:
        """Do it, and return each fate as it turned out.

        What stays after all is counted in the summary that comes with it: that of its name.
        """
        return list(self._really(batch, counts))

    def _really(self, batch: Sequence[Fate], counts: Iterable[Summary]) -> Iterator[Fate]:
        stays = self._looked_up_again(batch)
        failures = self._delete([fate for fate in batch if fate.goes and fate.key not in stays])
        for fate, counted in zip(batch, counts, strict=False):
            failure = failures.get(fate.key)
            if fate.key in stays:
                yield self._kept(fate, stays[fate.key], counted)
            elif failure is not None and _is_locked(failure):
                yield self._kept(fate, Reason.LOCKED, counted)
            elif failure is not None:
                counted.add_error(failure.key, failure.code, failure.message)
                yield self._kept(fate, fate.reason, counted)
            elif fate.storage_class:
                yield self._archived(fate, counted)
            else:
                yield fate

    def _kept(self, fate: Fate, reason: Reason, counted: Summary) -> Fate:
        if fate.goes:
            counted.scanned += 1
            counted.kept += 1
            counted.reasons[reason] += 1
        return replace(fate, goes=False, storage_class="", reason=reason)

    def _archived(self, fate: Fate, counted: Summary) -> Fate:
        """Move an object to another storage class, where that is done."""
        return replace(fate, storage_class="")

    def _delete_from(self, store: ObjectStore, going: Sequence[Fate]) -> dict[str, DeleteFailure]:
        failures: dict[str, DeleteFailure] = {}
        for begin in range(0, len(going), DELETE_BATCH):
            self.pace.wait()
            failed = store.delete([fate.key for fate in going[begin : begin + DELETE_BATCH]])
            failures.update({failure.key: failure for failure in failed})
        return failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper(BatchSweeper):
    """Carries out batches on the versions of an archive."""

    archive: Archive

    def _delete(self, going: Sequence[Fate]) -> dict[str, DeleteFailure]:
        index = self.archive.index
        # An index that can list what it knows forgets afterwards, so that what the store keeps locked stays known.
        if isinstance(index, CommittingIndex) and not isinstance(index, EnumeratingIndex):
            index.forget(_versions(going))
        failures = self._delete_from(self.archive.store, going)
        if isinstance(index, EnumeratingIndex):
            index.forget(_versions([fate for fate in going if fate.key not in failures]))
        return failures

    def _archived(self, fate: Fate, counted: Summary) -> Fate:
        """Move an object to another storage class; one that is gone meanwhile needs none."""
        index = self.archive.index
        if fate.version is None or not isinstance(index, EnumeratingIndex):
            return replace(fate, storage_class="")  # its row is gone meanwhile
        self.alive()
        self.pace.wait(requests=2 if fate.version.body_key == fate.key else 4)
        try:
            moved = archive_version(self.archive.store, fate.version, fate.storage_class)
        except UnreachableError:
            raise
        except StoreError as error:  # this one's alone, as that it is gone, or may not be copied
            code = "NoSuchKey" if isinstance(error, KeyMissingError) else type(error).__name__
            counted.add_error(fate.key, code, str(error))
            return replace(fate, storage_class="")
        index.amend(moved)
        return fate

    def _looked_up_again(self, batch: Sequence[Fate]) -> dict[str, Reason]:
        """Return which of a batch stay after all, and why."""
        names = list(dict.fromkeys(fate.name for fate in batch))
        known = self.circumstances(names)
        stays: dict[str, Reason] = {}
        for fate in batch:
            circumstances = known.get(fate.name)
            if circumstances is None or not (fate.goes and fate.number):
                continue
            if circumstances.holds(fate.number):
                stays[fate.key] = Reason.HELD
            elif fate.number in circumstances.referenced:
                stays[fate.key] = Reason.REFERENCED
        index = self.archive.index
        if not isinstance(index, EnumeratingIndex):
            stays.update(self._bodies_needed(batch, known))
            return stays
        with_version = [fate for fate in batch if fate.version is not None]
        superseded = index.superseded(_versions(with_version)) if with_version else set()
        stays.update({fate.key: Reason.CURRENT for fate in with_version if fate.key not in superseded})
        others: dict[str, list[str]] = {}
        for fate in batch:
            if fate.version is None and fate.reason in _UNKNOWN:
                others.setdefault(fate.name, []).append(fate.key)
        if others:
            going = {version.body_key for version in _versions(batch) if version.key not in stays}
            stays.update(dict.fromkeys(index.known(others) - going, Reason.COMMITTED))
        return stays

    def _bodies_needed(self, batch: Sequence[Fate], known: Mapping[str, Circumstances]) -> dict[str, Reason]:
        """Return the bodies of what a hold or a row keeps, perhaps since it was decided; only such names are asked."""
        archive, needed = self.archive, set()
        bodies = [fate for fate in batch if fate.reason is Reason.UNREFERENCED_BODY]
        for name in dict.fromkeys(fate.name for fate in bodies):
            circumstances = known.get(name)
            if circumstances is None:
                continue
            numbers = circumstances.held | circumstances.referenced
            asked = archive.history(name) if circumstances.held_whole else (archive.index.at(name, n) for n in numbers)
            for version in asked:
                self.pace.wait()
                if version is not None:
                    needed.add(version.body_key)
        return {fate.key: Reason.POINTED_TO for fate in bodies if fate.key in needed}


_UNKNOWN = frozenset({Reason.UNCOMMITTED, Reason.UNREFERENCED_BODY})
"""What goes because the index does not know it."""


def _versions(fates: Sequence[Fate]) -> list[Version]:
    return [fate.version for fate in fates if fate.version is not None]


def _is_locked(failure: DeleteFailure) -> bool:
    """Return whether the store says that it may not be deleted yet.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html; other stores have their own words.
    """
    text = f"{failure.code} {failure.message}".lower()
    return any(word in text for word in ("object lock", "objectlock", "worm", "legal hold", "retention"))
