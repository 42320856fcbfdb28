"""Archives in memory, on a clock that stands still, with seeded chance."""

from __future__ import annotations

import random
from contextlib import closing
from typing import Any

from consistent_s3.core.archive import Archive
from consistent_s3.core.keys import Layout
from consistent_s3.core.versions import Version
from consistent_s3.core.writing import spool
from consistent_s3.index.listing import ListingIndex
from consistent_s3.testing import ManualClock, MemoryObjectStore


def make_archive(store: Any = None, clock: ManualClock | None = None, *, location: str = "", **options: Any) -> Archive:
    clock = clock or ManualClock()
    store = store if store is not None else MemoryObjectStore(clock=clock)
    layout = Layout(location=location)
    options = {"chance": random.Random(1), "index": ListingIndex(store=store, layout=layout), **options}
    return Archive(store=store, layout=layout, clock=clock, **options)


def write(archive: Archive, name: str, data: bytes | str, **options: Any) -> Version:
    with closing(spool([data])) as body:
        return archive.write(name, body, **options)


def read(archive: Archive, name: str, number: int | None = None) -> bytes:
    with archive.reader(archive.require(name, number)) as reader:
        return reader.readall()


def numbers(archive: Archive, name: str) -> list[int]:
    return [version.number for version in archive.history(name)]
