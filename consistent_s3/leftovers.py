"""What does a collection leave in a bucket, and what is somebody to do about it?

Uploads that nobody finished are no objects, so no survey comes to them. What the store refused, or keeps, is told.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from consistent_s3.core.errors import StoreError
from consistent_s3.core.fates import Summary
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.storage import ConsistentS3Storage

logger = logging.getLogger("consistent_s3.collection")

GIVEN_UP = timedelta(days=7)
"""How long after it was begun a multipart upload counts as given up, if grace is not longer."""

RIGHTS = (
    "A worker that collects needs credentials with s3:ListBucket, s3:GetObject and s3:DeleteObject there, and "
    "s3:PutObject for archive_after."
)


def abort_uploads(storage: ConsistentS3Storage, *, dry_run: bool = False) -> int:
    """Abort the multipart uploads of ours that were given up, and return how many; or only say how many.

    A store that cannot tell, or may not, does not keep a collection from its end: that is logged.
    """
    archive = storage.archive
    before = archive.clock.now() - max(GIVEN_UP, archive.timing.grace)
    aborted = 0
    try:
        for upload in archive.store.unfinished(archive.layout.root):
            parsed = archive.layout.parse(upload.key)
            if parsed is not None and parsed.body and upload.begun < before:
                if not dry_run:
                    archive.store.abort_upload(upload.key, upload.upload_id)
                aborted += 1
    except StoreError as error:
        logger.warning("unfinished uploads were left: %s", error)
    return aborted


def advice(storage: ConsistentS3Storage, counted: Summary) -> str:
    """Return what somebody should look after, once a collection is done; empty for nothing."""
    found = []
    store = storage.make_object_store()
    if isinstance(store, S3ObjectStore) and store.keeps_deleted():
        found.append(
            f"Bucket {storage.bucket_name!r} has versioning of its own: what was deleted is still stored and paid for. "
            "Suspend it, or let a lifecycle rule expire noncurrent versions."
        )
    if counted.error_count:
        codes = ", ".join(sorted({error["code"] for error in counted.errors}))
        found.append(
            f"The store refused {counted.error_count} objects ({codes}). They are left as they were, and tried again "
            "by the next run. If it refuses them again, look at the errors: for AccessDenied, allow s3:DeleteObject; "
            "for others, ask whoever runs the store."
        )
    return " ".join(found)
