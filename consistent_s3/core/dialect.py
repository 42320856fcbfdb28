"""How are our words said in boto3's, and boto3's in ours?"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from consistent_s3.core.seams import Attributes, Clock, ObjectHead, ObjectInfo, PutReceipt

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def arguments(attributes: Attributes) -> dict[str, Any]:
    """Return the arguments of a put or of the beginning of an upload."""
    found: dict[str, Any] = dict(attributes.extra)
    found["Metadata"] = dict(attributes.metadata)
    found["ContentType"] = attributes.content_type
    if attributes.content_encoding:
        found["ContentEncoding"] = attributes.content_encoding
    return found


def receipt(answer: Any, clock: Clock) -> PutReceipt:
    """Return what the answer to a put says; the store's time where it gives one."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    try:
        modified = parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        modified = clock.now()
    return PutReceipt(etag=answer.get("ETag", "").strip('"'), modified=modified)


def head(key: str, answer: Any, size: int) -> ObjectHead:
    """Return what the headers of an object say."""
    return ObjectHead(
        info=ObjectInfo(
            key=key,
            size=size,
            etag=answer.get("ETag", "").strip('"'),
            modified=answer.get("LastModified", _EPOCH),
        ),
        metadata=answer.get("Metadata", {}),
        content_type=answer.get("ContentType", ""),
        content_encoding=_without_transport(answer.get("ContentEncoding", "")),
    )


def _without_transport(content_encoding: str) -> str:
    """Drop `aws-chunked`, which is how the bytes travelled and which some servers keep."""
    parts = (part.strip() for part in content_encoding.split(","))
    return ",".join(part for part in parts if part not in {"aws-chunked", ""})
