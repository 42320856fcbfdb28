"""A bucket that lives as long as the demo, and in which time can be made to pass.

It is moto's: a real S3 server as far as HTTP goes, whose objects are in the memory of this process. That is what makes
`age` possible; nothing else in the demo knows of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.core.files.storage import default_storage

from consistent_s3.clients import shared_client
from consistent_s3.testing import S3Server

ACCOUNT = "123456789012"
"""The account that moto gives to whoever asks."""


@contextmanager
def served_bucket(name: str, port: int) -> Iterator[None]:
    """Serve an empty bucket on loopback for the duration of the block."""
    with S3Server(port):
        shared_client(default_storage).create_bucket(Bucket=name)
        yield


def age(bucket: str, by: timedelta, *, keys: frozenset[str] | None = None) -> int:
    """Make objects older: those under some keys, or all; return how many. The store's own date of each is changed."""
    from django.db.models import F  # noqa: PLC0415 - with the model
    from moto.s3.models import s3_backends  # noqa: PLC0415 - an extra, and only where the bucket is ours

    from consistent_s3.models import StoredVersion  # noqa: PLC0415 - needs a ready registry

    aged = 0
    for stored in s3_backends[ACCOUNT]["aws"].buckets[bucket].keys.values():
        if keys is None or stored.name in keys:
            stored.last_modified -= by
            aged += 1
    rows = StoredVersion.objects.all() if keys is None else StoredVersion.objects.filter(key__in=keys)
    rows.update(modified=F("modified") - by)
    return aged
