"""Which event store does a storage have?

1. Its streams are in the same bucket, with the same credentials, times and arguments of every put, under
   `.-v-streams/` below its location. No name can be there, so no listing of files, no collection of versions, no
   reindex and no other storage meets them.
2. What decides who is first is the key, whatever the storage's index is: the store must honour `If-None-Match: *`, and
   its LIST must be strongly consistent. One that is said not to be so is refused here, with words; one that ignores
   conditions is refused before the first event is written. `manage.py consistent_s3 probe` asks for the rest: streams
   are safe where `index="listing"` is.
3. A process has one event store for each place, so what it saw of a stream a moment ago saves the next append a LIST.
"""

from __future__ import annotations

import os
import threading
from weakref import WeakKeyDictionary

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError, storages

from consistent_s3.assembly import place_of
from consistent_s3.content import put_arguments
from consistent_s3.core.errors import InvalidNameError
from consistent_s3.core.keys import STREAMS
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.seams import ObjectStore
from consistent_s3.eventstore import EventStore
from consistent_s3.eventstore.compacting import NOT_READABLE
from consistent_s3.eventstore.keys import StreamLayout
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams.serializing import DjangoValues

Place = tuple[int, str, str]

_stores: WeakKeyDictionary[ConsistentS3Storage, tuple[Place, EventStore]] = WeakKeyDictionary()
_lock = threading.Lock()


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the lock may have been held by a thread that the child does not have
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def event_store(alias: str = "default") -> EventStore:
    """Return the event store of a storage, as `STORAGES` calls it.

    Raises: `ImproperlyConfigured` if there is no such storage, if it keeps no versions, or if streams are not safe on
    it.
    """
    try:
        storage = storages[alias]
    except InvalidStorageError as error:
        known = ", ".join(repr(alias) for alias in storages.backends)
        raise ImproperlyConfigured(f"STORAGES has no {alias!r}. It has {known}.") from error
    if not isinstance(storage, ConsistentS3Storage):
        raise ImproperlyConfigured(
            f"STORAGES[{alias!r}] is a {type(storage).__name__}, which has no event store. "
            "Use consistent_s3.storage.ConsistentS3Storage, or the alias of one."
        )
    return storage_event_store(storage)


def storage_event_store(storage: ConsistentS3Storage) -> EventStore:
    """Return the event store of a storage; the same one each time, as long as its place is the same.

    Raises: `ImproperlyConfigured` if streams are not safe on it.
    """
    obstacle = unfitness(storage)
    if obstacle:
        raise ImproperlyConfigured(obstacle)
    place = (os.getpid(), str(storage.bucket_name), str(storage.location))
    with _lock:
        kept = _stores.get(storage)
        if kept is None or kept[0] != place:
            kept = _stores[storage] = (place, make_event_store(storage, storage.make_object_store()))
        return kept[1]


def has_streams(storage: ConsistentS3Storage) -> bool:
    """Return whether a storage has streams that can be read: 1 LIST of one key."""
    if unfitness(storage):
        return False
    types = f"{storage.archive.layout.streams_prefix}/"
    return bool(storage.make_object_store().list(types, limit=1).objects)


def make_event_store(storage: ConsistentS3Storage, store: ObjectStore) -> EventStore:
    """Return a new event store of a storage, on its bucket or on one that is wrapped."""
    archive = storage.archive
    return EventStore(
        store,
        archive.layout.streams_prefix,
        timing=storage.timing,
        clock=archive.clock,
        chance=archive.chance,
        serializer=DjangoValues(),
        place=place_of(storage),
        extra=put_arguments(storage, STREAMS),
    )


def unfitness(storage: ConsistentS3Storage) -> str:
    """Return why streams are not safe on a storage, as far as its options tell; empty for no reason."""
    where = f"{type(storage).__name__} for bucket {storage.bucket_name!r}"
    if not storage.strong_listing:
        return (
            f"{where} has strong_listing=False, and streams of events rest on listings: an event that was appended "
            "might not be seen. Keep them in another store, and see `manage.py consistent_s3 probe`."
        )
    if storage.index_kind == "listing" and storage.numbers is Numbering.CLOCK:
        return (
            f"{where} has numbering='clock' with index='listing', which is for stores that do not honour "
            "`If-None-Match: *`, and streams of events rest on that: of two appends one would be lost. Keep them in "
            "another store, or leave numbering out if this one honours it: see `manage.py consistent_s3 probe`."
        )
    storage_class = put_arguments(storage, STREAMS).get("StorageClass")
    if storage_class in NOT_READABLE:
        return (
            f"{where} puts objects into storage class {storage_class!r}, which cannot be read at once, and streams of "
            "events are read from their beginning. Choose another class, for example 'GLACIER_IR'."
        )
    try:
        StreamLayout(storage.archive.layout.streams_prefix)
    except InvalidNameError as error:
        return f"{where} has a location that leaves no room for streams of events: {error}"
    return ""
