"""What does a row tell of a version, and how does every database keep it?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from consistent_s3.core.versions import Details, KnownDetails, Version
from consistent_s3.index.row_times import as_aware, as_kept
from consistent_s3.models import StoredVersion

_OF_DETAILS = (
    "write_id",
    "tombstone",
    "author",
    "comment",
    "original_name",
    "content_type",
    "content_encoding",
    "checksum",
    "predecessor",
    "predecessor_etag",
    "restored_from",
    "body_key",
    "body_size",
    "storage_class",
)
_OF_VERSION = ("number", "key", "size", "etag")


def as_version(name: str, row: StoredVersion) -> Version:
    """Return what a row tells of a version of a name."""
    return Version(
        name=name,
        tombstone=row.tombstone,
        modified=as_aware(row.modified),
        source=KnownDetails(Details(**{field: getattr(row, field) for field in _OF_DETAILS})),
        **{field: getattr(row, field) for field in _OF_VERSION},
    )


def as_columns(version: Version) -> dict[str, Any]:
    """Return what a row is to tell of a version."""
    details = asdict(version.details)
    return {
        "modified": as_kept(version.modified),
        **{field: storable(getattr(version, field)) for field in _OF_VERSION},
        **{field: storable(details[field]) for field in _OF_DETAILS},
    }


def storable(value: Any) -> Any:
    """Return a text as every database keeps it: PostgreSQL refuses NUL, and none takes half of a surrogate pair."""
    if not isinstance(value, str):
        return value
    return value.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
