"""A storage for a project's tests: the real one, on a bucket in memory.

STORAGES = {"default": {"BACKEND": "consistent_s3.testing.storage.InMemoryConsistentStorage"}}
"""

from __future__ import annotations

from typing import Any

from consistent_s3.core.seams import ObjectStore
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing.memory import MemoryObjectStore


class InMemoryConsistentStorage(ConsistentS3Storage):
    """A `ConsistentS3Storage` that needs no bucket, no credentials and no network.

    Guarantees: everything but the bucket is the real thing, so versions, conflicts, tombstones and retention behave as
    in production. Each instance is empty when it is made, and `override_settings(STORAGES=...)` makes new ones.

    It takes all options of the real one; those of the connection are ignored. Addresses begin with
    `https://memory.invalid/` and lead nowhere. Its index is the listing unless `index` names another.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"bucket_name": "memory", "index": "listing", **options})
        self._store = MemoryObjectStore()

    def get_default_settings(self) -> dict[str, Any]:
        """Return all options with their defaults; nothing of a real connection among them."""
        unreal = {"custom_domain": "memory.invalid", "querystring_auth": False, "access_key": "", "secret_key": ""}
        return {**super().get_default_settings(), **unreal}

    def make_object_store(self) -> ObjectStore:
        """Return the bucket in memory."""
        return self._store

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("A storage in memory cannot be pickled: another process would see another bucket.")
