"""Probing the bucket of a storage: what its options say, and what only S3 can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from consistent_s3.clients import shared_client
from consistent_s3.collection import versioned_storage
from consistent_s3.core.errors import StoreError
from consistent_s3.core.probe import ROUNDS, Probe
from consistent_s3.core.suitability import Mode, Question, mode_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TRIPPED = {304, 409, 412}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Extras:
    """What S3 can be asked beyond an `ObjectStore`, which never rests on it."""

    client: S3Client = field(repr=False)
    bucket: str
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """boto3 arguments that every put here needs."""

    def keeps_versions(self) -> bool:
        """Return whether the bucket keeps what is overwritten or deleted."""
        with _told("ask for the versioning of"):
            answer = self.client.get_bucket_versioning(Bucket=self.bucket)
        return answer.get("Status") == "Enabled"

    def completes_over(self, key: str, data: bytes) -> bool:
        """Upload one part to a key that exists, complete "only if it does not", and return whether it was done."""
        upload: dict[str, Any] = {"Bucket": self.bucket, "Key": key}
        with _told("upload parts to"):
            upload["UploadId"] = self.client.create_multipart_upload(**upload, **self.extra)["UploadId"]
        done = False
        try:
            with _told("upload a part to"):
                etag = self.client.upload_part(**upload, PartNumber=1, Body=data)["ETag"]
            with _told("complete an upload to", tripped=False):
                self.client.complete_multipart_upload(
                    **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, IfNoneMatch="*"
                )
                done = True
        finally:
            if not done:
                with _told("abort an upload to"):
                    self.client.abort_multipart_upload(**upload)
        return done


def probe_of(alias: str, *, rounds: int = ROUNDS, tell: Callable[[Question], object] | None = None) -> Probe:
    """Return what asks the bucket of a storage, below its location; `run` it.

    Raises: `ImproperlyConfigured` for an alias that keeps no versions.
    """
    storage = versioned_storage(alias)
    of_content = {"Metadata", "ContentType", "ContentEncoding"}
    extra = {name: value for name, value in storage.object_parameters.items() if name not in of_content}
    if storage.default_acl:
        extra.setdefault("ACL", storage.default_acl)
    return Probe(
        store=storage.make_object_store(),  # without the self-test: asking is what the probe is for
        root=storage.archive.layout.root,
        rounds=rounds,
        extra=extra,
        extras=S3Extras(client=shared_client(storage), bucket=storage.bucket_name, extra=extra),
        tell=tell,
    )


def configured_mode(alias: str) -> Mode | None:
    """Return the mode that a storage is set to; `None` if it is none that a probe can judge."""
    storage = versioned_storage(alias)
    return mode_of(
        {
            "index": storage.index_kind,
            "numbering": storage.numbers.value,
            "strong_listing": storage.strong_listing,
        }
    )


@contextmanager
def _told(what: str, *, tripped: bool = True) -> Iterator[None]:
    """Turn what boto3 raises into a `StoreError`; with `tripped=False` a tripped precondition just ends the block."""
    try:
        yield
    except ClientError as error:
        if not tripped and error.response["ResponseMetadata"].get("HTTPStatusCode") in _TRIPPED:
            return
        raise StoreError(f"Cannot {what} the bucket: {error.response['Error'].get('Code', '')}.") from error
    except BotoCoreError as error:
        raise StoreError(f"Cannot {what} the bucket: {error}") from error
