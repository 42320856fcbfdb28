"""An `ObjectStore` on boto3: the only module of the core that knows S3's API.

What an answer means is in one table, `_translate`; signing, retries, parts and XML are boto3's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from boto3.s3.transfer import S3Transfer
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import IncompleteReadError as BotoIncompleteReadError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from consistent_s3.core import dialect
from consistent_s3.core.errors import (
    AccessDeniedError,
    AnswerLostError,
    BucketMissingError,
    DeadlinePassedError,
    KeyMissingError,
    ObjectArchivedError,
    PreconditionTrippedError,
    StoreError,
    UnreachableError,
    UnsupportedByStoreError,
)
from consistent_s3.core.seams import (
    Attributes,
    Clock,
    DeleteFailure,
    Download,
    ListPage,
    ObjectHead,
    ObjectInfo,
    PutMode,
    PutReceipt,
    SystemClock,
    UnfinishedUpload,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READ_PARAMETERS = frozenset(S3Transfer.ALLOWED_DOWNLOAD_ARGS)
"""boto3 arguments that reads need as well as writes: `SSECustomerKey`, `RequestPayer`, `ExpectedBucketOwner` ..."""

_KEPT_BY_A_COPY = ("ContentType", "ContentEncoding", "ContentDisposition", "ContentLanguage", "CacheControl")
"""Attributes that a copy with new metadata forgets unless they are sent again."""

FAILURES = (ClientError, BotoCoreError, ResponseParserError)
"""What boto3 raises for a request that did not succeed."""

_attempt = threading.local()


class _TooLateError(Exception):
    """Raised inside botocore, before an attempt is signed, when its deadline has passed."""


def _check_deadline(**_: object) -> None:
    """Let botocore begin an attempt only before the deadline of the put that this thread is in."""
    put: _Put | None = getattr(_attempt, "put", None)
    if put is None:
        return
    if put.deadline is not None and put.clock.monotonic() > put.deadline:
        raise _TooLateError
    put.attempts += 1


@dataclass(slots=True)
class _Put:
    deadline: float | None
    clock: Clock
    attempts: int = 0


@contextmanager
def _put(deadline: float | None, clock: Clock) -> Iterator[_Put]:
    put = _Put(deadline, clock)
    _attempt.put = put
    try:
        yield put
    finally:
        _attempt.put = None


def watch_deadlines(client: S3Client) -> None:
    """Make a client check the write deadline before each attempt of a PutObject, botocore's own retries included.

    A process that stalls inside a retry must not create a number that was collected meanwhile. Idempotent.
    """
    client.meta.events.register_first(
        "before-sign.s3.PutObject", _check_deadline, unique_id="consistent_s3-write-deadline"
    )


@dataclass(slots=True)
class S3Download:
    """The body of one GET."""

    head: ObjectHead
    _body: Any
    _left: int

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; an answer that breaks or ends early is an `UnreachableError`."""
        if not self._left:
            return b""
        try:
            data: bytes = self._body.read(min(size, self._left))
        except (BotoIncompleteReadError, ResponseStreamingError, ReadTimeoutError, HTTPError, OSError) as error:
            raise UnreachableError(f"The answer for {self.head.info.key!r} broke off: {error}") from error
        if not data and size:
            raise UnreachableError(f"The answer for {self.head.info.key!r} ended {self._left} bytes early.")
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Drop the connection; what was not read cannot be used again."""
        self._body.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class S3ObjectStore:
    """One bucket of an S3-compatible server.

    Guarantees those of `ObjectStore` as far as the server does. Safe in many threads, as its client is; in forked
    processes, if `client` is a function.
    """

    client: S3Client | Callable[[], S3Client] = field(repr=False)
    """A client; or what returns that of the process that asks, with its deadlines watched, as `clients` does."""
    bucket: str
    read_parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Sent with each GET and HEAD; only those in `READ_PARAMETERS`."""
    clock: Clock = field(default_factory=SystemClock, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.client):
            watch_deadlines(self.client)

    def put(
        self, key: str, body: BinaryIO, *, mode: PutMode, attributes: Attributes, deadline: float | None = None
    ) -> PutReceipt:
        """Write one object with one PutObject."""
        body.seek(0)
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if mode is PutMode.CREATE else {}
        with _put(deadline, self.clock) as put:
            try:
                answer = self._own.put_object(
                    Bucket=self.bucket, Key=key, Body=body, **condition, **dialect.arguments(attributes)
                )
            except _TooLateError as error:
                raise DeadlinePassedError(
                    f"The write deadline passed before {key!r} was sent.", sent_before=put.attempts > 0
                ) from error
            except FAILURES as error:
                self._translate(error, f"write {key!r}", writes=True, sent_before=put.attempts > 1)
        return replace(dialect.receipt(answer, self.clock), repeated=put.attempts > 1)

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> Download:
        """Begin one GetObject with a `Range`, unless the whole object is asked for."""
        span: dict[str, Any] = (
            {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        )
        try:
            answer = self._own.get_object(Bucket=self.bucket, Key=key, **span, **self.read_parameters)
        except FAILURES as error:
            self._translate(error, f"read {key!r}")
        size = answer["ContentLength"]
        if content_range := answer.get("ContentRange"):
            size = int(content_range.rpartition("/")[2])
        return S3Download(dialect.head(key, answer, size), answer["Body"], answer["ContentLength"])

    def head(self, key: str) -> ObjectHead:
        """Send one HeadObject."""
        try:
            answer = self._own.head_object(Bucket=self.bucket, Key=key, **self.read_parameters)
        except FAILURES as error:
            self._translate(error, f"look at {key!r}")
        return dialect.head(key, answer, answer["ContentLength"])

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> ListPage:
        """Send one ListObjectsV2."""
        options: dict[str, Any] = {"MaxKeys": limit}
        if delimiter:
            options["Delimiter"] = delimiter
        if token:
            options["ContinuationToken"] = token
        elif start_after:
            options["StartAfter"] = start_after
        try:
            answer = self._own.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **options)
        except FAILURES as error:
            self._translate(error, f"list {prefix!r}")
        return ListPage(
            objects=tuple(
                ObjectInfo(
                    key=entry["Key"],
                    size=entry["Size"],
                    etag=entry.get("ETag", "").strip('"'),
                    modified=entry["LastModified"],
                )
                for entry in answer.get("Contents", ())
            ),
            prefixes=tuple(entry["Prefix"] for entry in answer.get("CommonPrefixes", ())),
            token=answer.get("NextContinuationToken", "") if answer.get("IsTruncated") else "",
        )

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Send one DeleteObjects."""
        if not keys:
            return ()
        try:
            answer = self._own.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        except FAILURES as error:
            self._translate(error, f"delete {len(keys)} keys")
        return tuple(
            DeleteFailure(key=entry.get("Key", ""), code=entry.get("Code", ""), message=entry.get("Message", ""))
            for entry in answer.get("Errors", ())
        )

    def begin_upload(self, key: str, *, attributes: Attributes) -> str:
        """Send one CreateMultipartUpload."""
        try:
            answer = self._own.create_multipart_upload(Bucket=self.bucket, Key=key, **dialect.arguments(attributes))
        except FAILURES as error:
            self._translate(error, f"begin to upload {key!r}")
        return answer["UploadId"]

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Send one UploadPart; boto3 repeats it where the connection breaks."""
        try:
            answer = self._own.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=data, **self._part_parameters
            )
        except FAILURES as error:
            self._translate(error, f"upload part {number} of {key!r}")
        return answer["ETag"]

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str]) -> PutReceipt:
        """Send one CompleteMultipartUpload; `NoSuchUpload` may be our own earlier success, so it is no answer."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
        try:
            answer = self._own.complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]
            )
        except ClientError as error:
            if _code(error) == "NoSuchUpload":
                raise AnswerLostError(f"The upload of {key!r} is gone: completed before, or aborted.") from error
            self._translate(error, f"complete {key!r}", writes=True)
        except (BotoCoreError, ResponseParserError) as error:
            self._translate(error, f"complete {key!r}", writes=True)
        return dialect.receipt(answer, self.clock)

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Send one AbortMultipartUpload."""
        try:
            self._own.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except ClientError as error:
            if _code(error) != "NoSuchUpload":
                self._translate(error, f"abort the upload of {key!r}")
        except BotoCoreError as error:
            self._translate(error, f"abort the upload of {key!r}")

    def keeps_deleted(self) -> bool:
        """Return whether the bucket's own versioning keeps what is deleted; false where nobody may say."""
        try:
            return self._own.get_bucket_versioning(Bucket=self.bucket).get("Status") == "Enabled"
        except FAILURES:
            return False

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Send one ListMultipartUploads for every 1,000 uploads."""
        try:
            pages = self._own.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for upload in page.get("Uploads", ()):
                    yield UnfinishedUpload(key=upload["Key"], upload_id=upload["UploadId"], begun=upload["Initiated"])
        except FAILURES as error:
            self._translate(error, f"list the unfinished uploads under {prefix!r}")

    def move(self, key: str, storage_class: str, *, metadata: Mapping[str, str]) -> PutReceipt:
        """Send one HeadObject and one CopyObject, or a multipart copy of what is larger than one copy may be."""
        try:
            head = self._own.head_object(Bucket=self.bucket, Key=key, **self.read_parameters)
            kept = {name: head[name] for name in _KEPT_BY_A_COPY if head.get(name)}  # type: ignore[literal-required]
            self._own.copy(
                {"Bucket": self.bucket, "Key": key},
                self.bucket,
                key,
                ExtraArgs={
                    **kept,
                    **self._part_parameters,
                    "Metadata": dict(metadata),
                    "MetadataDirective": "REPLACE",
                    "StorageClass": storage_class,
                },
            )
            answer = self._own.head_object(Bucket=self.bucket, Key=key, **self.read_parameters)
        except FAILURES as error:
            self._translate(error, f"move {key!r} to {storage_class}")
        return PutReceipt(etag=answer["ETag"].strip('"'), modified=answer["LastModified"])

    @property
    def _own(self) -> S3Client:
        """Return the client of this process."""
        return self.client() if callable(self.client) else self.client

    @property
    def _part_parameters(self) -> dict[str, Any]:
        return {name: value for name, value in self.read_parameters.items() if name.startswith("SSECustomer")}

    def _translate(self, error: Exception, what: str, *, writes: bool = False, sent_before: bool = False) -> NoReturn:
        """Raise what an answer means; one to a repeated write says nothing of the attempt before it."""
        meaning = self._meaning(error, what, lost=AnswerLostError if writes else UnreachableError)
        if isinstance(meaning, PreconditionTrippedError):
            meaning.sent_before = sent_before
        elif sent_before:
            meaning = AnswerLostError(str(meaning))
        raise meaning from error

    def _meaning(self, error: Exception, what: str, *, lost: type[StoreError]) -> StoreError:
        """Return what an answer means. The one table of status codes."""
        where = f"bucket {self.bucket!r} at {self._own.meta.endpoint_url}"
        if not isinstance(error, ClientError):
            return _without_answer(error, f"Cannot {what} in {where}", lost=lost)
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        code = _code(error)
        if code == "NoSuchBucket":
            return BucketMissingError(f"Cannot {what}: there is no {where}. Create it, or correct bucket_name.")
        if status in {304, 409, 412}:
            return PreconditionTrippedError(f"The precondition to {what} in {where} did not hold: {code}.")
        if code == "InvalidObjectState":
            return ObjectArchivedError(
                f"Cannot {what} in {where}: it is archived. Restore it in S3 first, which takes hours."
            )
        if status in {401, 403}:
            return AccessDeniedError(
                f"Cannot {what} in {where}: {code}. Check the credentials and the bucket's policy."
            )
        if status == 404 and code != "NoSuchUpload":
            return KeyMissingError(f"Cannot {what} in {where}: no such key.")
        if status == 501 or code == "NotImplemented":
            return UnsupportedByStoreError(
                f"Cannot {what}: {where} does not implement it. If it has no conditional writes, set numbering to "
                "'clock'."
            )
        if status >= 500 or status in {408, 429}:
            return lost(f"Cannot {what} in {where}: {status} {code}.")
        return StoreError(f"Cannot {what} in {where}: {status} {code}: {error}")


def _without_answer(error: Exception, cannot: str, *, lost: type[StoreError]) -> StoreError:
    if isinstance(error, NoCredentialsError):
        return AccessDeniedError(f"{cannot}: no credentials were found.")
    if isinstance(error, BotoConnectionError | HTTPClientError | ResponseParserError):
        return lost(f"{cannot}: {error}")
    return StoreError(f"{cannot}: {error}")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
