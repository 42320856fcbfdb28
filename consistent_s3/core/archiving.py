"""How does an old version move to a cheaper storage class?

Its object is copied onto itself, which makes it younger to the store and may change its ETag. So its metadata then say
when it was written; and only an index that keeps times itself may archive: a listing has nothing but the store's.
"""

from __future__ import annotations

from dataclasses import replace

from consistent_s3.core.seams import ObjectStore
from consistent_s3.core.versions import KnownDetails, Version, from_head, merge_metadata, projects_metadata, to_metadata

METADATA_BYTES = 2048
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html"""


def archive_version(store: ObjectStore, version: Version, storage_class: str) -> Version:
    """Move the bytes of a version and return it as it is now. Moving it again does no harm.

    Raises: `KeyMissingError` if its object is gone.
    """
    etag = ""
    for key in dict.fromkeys((version.body_key, version.key)):
        head = store.head(key)
        is_version = key == version.key
        if is_version:
            written = version.modified.isoformat()
            details = replace(from_head(head), storage_class=storage_class, written=written)
            metadata = merge_metadata(to_metadata(details), projects_metadata(head))
            if sum(len(name) + len(value) for name, value in metadata.items()) > METADATA_BYTES:
                metadata.pop("v-prev-etag", None)
        else:
            metadata = dict(head.metadata)
        # A version that only points to its body is small: it stays where it can be read at once.
        wanted = storage_class if key == version.body_key else "STANDARD"
        etag = store.move(key, wanted, metadata=metadata).etag
    details = replace(version.details, storage_class=storage_class)
    return replace(version, etag=etag, source=KnownDetails(details))
