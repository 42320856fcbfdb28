"""Versions put into moto's memory directly: 10,000 of them take a blink, through HTTP they take a minute."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from consistent_s3.core.versions import Details, to_metadata
from consistent_s3.storage import ConsistentS3Storage

ACCOUNT = "123456789012"


def seed(
    storage: ConsistentS3Storage,
    name: str,
    numbers: Iterable[int],
    *,
    data: bytes = b"x",
    modified: datetime | None = None,
) -> None:
    """Make versions of a name as a storage would have written them."""
    for number in numbers:
        key = _put(storage, storage.archive.layout.version_key(name, number), data)
        if modified is not None:
            key.last_modified = modified


def seed_tombstone(storage: ConsistentS3Storage, name: str, number: int, *, modified: datetime | None = None) -> None:
    """Make a tombstone and its hint."""
    _put(storage, storage.archive.layout.hint_key(name, f"{number:024x}"), b"")
    key = _put(storage, storage.archive.layout.version_key(name, number), b"")
    key.set_metadata({f"x-amz-meta-{word}": value for word, value in to_metadata(Details(tombstone=True)).items()})
    if modified is not None:
        key.last_modified = modified


def _put(storage: ConsistentS3Storage, key: str, data: bytes):
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT]["aws"].put_object(storage.bucket_name, key, data)
