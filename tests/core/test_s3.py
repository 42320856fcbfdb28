"""What botocore raises and servers answer, in our words; and the write deadline inside botocore's own retries."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.response import StreamingBody
from botocore.stub import Stubber

from consistent_s3.clients import shared_client
from consistent_s3.core.errors import (
    AccessDeniedError,
    AnswerLostError,
    BucketMissingError,
    DeadlinePassedError,
    KeyMissingError,
    ObjectArchivedError,
    OutcomeUnknownError,
    PreconditionTrippedError,
    StoreError,
    UnreachableError,
    UnsupportedByStoreError,
)
from consistent_s3.core.keys import Layout
from consistent_s3.core.s3 import READ_PARAMETERS, S3Download, S3ObjectStore, watch_deadlines
from consistent_s3.core.seams import Attributes, DeleteFailure, ObjectHead, ObjectInfo, PutMode
from consistent_s3.core.versions import Details
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import ManualClock
from tests.core.building import make_archive, numbers, read, write

WHERE = "bucket 'files' at http://127.0.0.1:9"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_client(endpoint: str = "http://127.0.0.1:9", *, attempts: int = 1, **config: Any) -> Any:
    options: Any = {"retries": {"total_max_attempts": attempts, "mode": "standard"}, **config}
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}, **options),
    )


@pytest.fixture(scope="module")
def client() -> Any:
    return make_client()


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber


@pytest.fixture
def store(client: Any) -> S3ObjectStore:
    return S3ObjectStore(client=client, bucket="files", clock=ManualClock())


def put(store: Any, key: str = "a", data: bytes = b"x", **options: Any) -> Any:
    options = {"mode": PutMode.CREATE, "attributes": Attributes(), **options}
    return store.put(key, io.BytesIO(data), **options)


REQUESTS: dict[str, tuple[str, str, Callable[[S3ObjectStore], object]]] = {
    "put": ("put_object", "write 'a'", put),
    "get": ("get_object", "read 'a'", lambda store: store.get("a")),
    "head": ("head_object", "look at 'a'", lambda store: store.head("a")),
    "list": ("list_objects_v2", "list 'a/'", lambda store: store.list("a/")),
    "delete": ("delete_objects", "delete 2 keys", lambda store: store.delete(["a", "b"])),
    "begin": (
        "create_multipart_upload",
        "begin to upload 'a'",
        lambda store: store.begin_upload("a", attributes=Attributes()),
    ),
    "part": ("upload_part", "upload part 1 of 'a'", lambda store: store.put_part("a", "u", 1, b"x")),
    "complete": ("complete_multipart_upload", "complete 'a'", lambda store: store.complete_upload("a", "u", ["e"])),
    "abort": ("abort_multipart_upload", "abort the upload of 'a'", lambda store: store.abort_upload("a", "u")),
}
LOSES = {"put", "complete"}
"""Requests whose lost answer may hide a write."""

TABLE = [
    pytest.param(
        404,
        "NoSuchBucket",
        BucketMissingError,
        f"Cannot {{what}}: there is no {WHERE}. Create it, or correct bucket_name.",
        id="no-bucket",
    ),
    pytest.param(404, "NoSuchKey", KeyMissingError, f"Cannot {{what}} in {WHERE}: no such key.", id="no-key"),
    pytest.param(404, "404", KeyMissingError, f"Cannot {{what}} in {WHERE}: no such key.", id="no-key-in-a-head"),
    pytest.param(
        403,
        "AccessDenied",
        AccessDeniedError,
        f"Cannot {{what}} in {WHERE}: AccessDenied. Check the credentials and the bucket's policy.",
        id="403",
    ),
    pytest.param(
        403,
        "InvalidObjectState",
        ObjectArchivedError,
        f"Cannot {{what}} in {WHERE}: it is archived. Restore it in S3 first, which takes hours.",
        id="archived",
    ),
    pytest.param(
        401,
        "Unauthorized",
        AccessDeniedError,
        f"Cannot {{what}} in {WHERE}: Unauthorized. Check the credentials and the bucket's policy.",
        id="401",
    ),
    pytest.param(
        412,
        "PreconditionFailed",
        PreconditionTrippedError,
        f"The precondition to {{what}} in {WHERE} did not hold: PreconditionFailed.",
        id="412",
    ),
    pytest.param(
        409,
        "ConditionalRequestConflict",
        PreconditionTrippedError,
        f"The precondition to {{what}} in {WHERE} did not hold: ConditionalRequestConflict.",
        id="409",
    ),
    pytest.param(
        304,
        "Not Modified",
        PreconditionTrippedError,
        f"The precondition to {{what}} in {WHERE} did not hold: Not Modified.",
        id="304",
    ),
    pytest.param(
        501,
        "NotImplemented",
        UnsupportedByStoreError,
        f"Cannot {{what}}: {WHERE} does not implement it. If it has no conditional writes, set numbering to 'clock'.",
        id="501",
    ),
    pytest.param(
        400,
        "NotImplemented",
        UnsupportedByStoreError,
        f"Cannot {{what}}: {WHERE} does not implement it. If it has no conditional writes, set numbering to 'clock'.",
        id="400-not-implemented",
    ),
    pytest.param(503, "SlowDown", None, f"Cannot {{what}} in {WHERE}: 503 SlowDown.", id="503"),
    pytest.param(500, "InternalError", None, f"Cannot {{what}} in {WHERE}: 500 InternalError.", id="500"),
    pytest.param(429, "TooManyRequests", None, f"Cannot {{what}} in {WHERE}: 429 TooManyRequests.", id="429"),
    pytest.param(408, "RequestTimeout", None, f"Cannot {{what}} in {WHERE}: 408 RequestTimeout.", id="408"),
]


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize(("status", "code", "kind", "message"), TABLE)
def test_answer_has_one_meaning_for_every_request(
    store: S3ObjectStore, stub: Stubber, request_name: str, status: int, code: str, kind: Any, message: str
) -> None:
    operation, what, send = REQUESTS[request_name]
    lost = AnswerLostError if request_name in LOSES else UnreachableError
    stub.add_client_error(operation, code, "Server says so.", status)

    with pytest.raises(StoreError) as raised:
        send(store)

    assert type(raised.value) is (kind or lost)
    assert str(raised.value) == message.format(what=what)
    assert isinstance(raised.value, OSError)
    assert raised.value.__cause__ is not None


def test_refusal_without_a_meaning_of_ours_says_what_the_server_said(store: S3ObjectStore, stub: Stubber) -> None:
    stub.add_client_error("put_object", "EntityTooLarge", "Too large.", 400)

    with pytest.raises(StoreError) as raised:
        put(store)

    assert type(raised.value) is StoreError
    assert str(raised.value) == (
        f"Cannot write 'a' in {WHERE}: 400 EntityTooLarge: An error occurred (EntityTooLarge) when calling the "
        "PutObject operation: Too large."
    )


def test_upload_that_is_gone_is_no_missing_key(store: S3ObjectStore, stub: Stubber) -> None:
    stub.add_client_error("upload_part", "NoSuchUpload", "Gone.", 404)

    with pytest.raises(StoreError) as raised:
        store.put_part("a", "u", 1, b"x")

    assert type(raised.value) is StoreError


def test_completion_of_an_upload_that_is_gone_may_be_our_own_success(store: S3ObjectStore, stub: Stubber) -> None:
    stub.add_client_error("complete_multipart_upload", "NoSuchUpload", "Gone.", 404)

    with pytest.raises(AnswerLostError) as raised:
        store.complete_upload("a", "u", ["e"])

    assert str(raised.value) == "The upload of 'a' is gone: completed before, or aborted."


def test_abort_of_an_upload_that_is_gone_is_done(store: S3ObjectStore, stub: Stubber) -> None:
    stub.add_client_error("abort_multipart_upload", "NoSuchUpload", "Gone.", 404)

    store.abort_upload("a", "u")

    stub.assert_no_pending_responses()


# No answer at all


@pytest.mark.parametrize("request_name", REQUESTS)
def test_refused_connection_is_unreachable_and_for_a_write_unknown(store: S3ObjectStore, request_name: str) -> None:
    _, what, send = REQUESTS[request_name]

    with pytest.raises(StoreError) as raised:
        send(store)

    assert type(raised.value) is (AnswerLostError if request_name in LOSES else UnreachableError)
    assert str(raised.value).startswith(f"Cannot {what} in {WHERE}: Could not connect to the endpoint URL")


@pytest.fixture
def failing(client: Any) -> Iterator[Callable[[str, Exception], None]]:
    """Return a function that makes an operation raise."""
    registered: list[tuple[str, Any]] = []

    def fail(operation: str, error: Exception) -> None:
        def handler(**_: Any) -> None:
            raise error

        registered.append((f"before-send.s3.{operation}", handler))
        client.meta.events.register(*registered[-1])

    yield fail
    for event, handler in registered:
        client.meta.events.unregister(event, handler)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ReadTimeoutError(endpoint_url="http://x"), AnswerLostError),
        (ConnectTimeoutError(endpoint_url="http://x"), AnswerLostError),
        (NoCredentialsError(), AccessDeniedError),
        (BotoCoreError(), StoreError),
    ],
    ids=["read-timeout", "connect-timeout", "no-credentials", "other"],
)
def test_failure_inside_botocore_has_a_meaning(
    store: S3ObjectStore, failing: Callable[[str, Exception], None], error: Exception, kind: type[StoreError]
) -> None:
    failing("PutObject", error)

    with pytest.raises(StoreError) as raised:
        put(store)

    assert type(raised.value) is kind
    assert raised.value.__cause__ is error


def test_missing_credentials_are_said_to_be_missing(
    store: S3ObjectStore, failing: Callable[[str, Exception], None]
) -> None:
    failing("ListObjectsV2", NoCredentialsError())

    with pytest.raises(AccessDeniedError) as raised:
        store.list("")

    assert str(raised.value) == f"Cannot list '' in {WHERE}: no credentials were found."


# A server that does what it is told


class Scripted:
    """An HTTP server that answers each request with the next of some answers."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.requests: list[tuple[str, str]] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                scripted.requests.append((self.command, self.path))
                answer = scripted.answers.pop(0)
                if answer is None:  # hang up without a word
                    self.close_connection = True
                    with suppress(OSError):
                        self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, body, *headers = answer
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                if not any(name == "Content-Length" for name, _ in headers):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if any(name == "Content-Length" for name, _ in headers):
                    self.close_connection = True

            do_PUT = do_GET = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - the names of http.server

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore repeat without a pause."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)


def error_body(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()


def store_on(server: Scripted, *, attempts: int = 3, clock: Any = None) -> S3ObjectStore:
    client = make_client(server.url, attempts=attempts)
    return S3ObjectStore(client=client, bucket="files", clock=clock or ManualClock())


OK = (200, b"", ("ETag", '"e"'))


def test_hung_up_write_is_repeated_by_botocore(server: Scripted) -> None:
    server.answers = [None, (503, error_body("SlowDown")), OK]

    receipt = put(store_on(server))

    assert receipt.etag == "e"
    assert server.requests == [("PUT", "/files/a")] * 3


@pytest.mark.parametrize(
    ("answers", "sent_before"),
    [([(412, error_body("PreconditionFailed"))], False), ([None, (412, error_body("PreconditionFailed"))], True)],
    ids=["first-attempt", "after-a-lost-one"],
)
def test_tripped_precondition_tells_of_an_attempt_before_it(
    server: Scripted, answers: list[Any], sent_before: bool
) -> None:
    server.answers = answers

    with pytest.raises(PreconditionTrippedError) as tripped:
        put(store_on(server))

    assert tripped.value.sent_before is sent_before


@pytest.mark.parametrize(
    ("status", "code"), [(403, "ExpiredToken"), (400, "RequestTimeTooSkewed"), (404, "NoSuchBucket"), (501, "No")]
)
def test_refusal_of_a_repetition_says_nothing_of_the_attempt_before_it(
    server: Scripted, status: int, code: str
) -> None:
    server.answers = [None, (status, error_body(code)), (status, error_body(code)), (status, error_body(code))]

    with pytest.raises(AnswerLostError):
        put(store_on(server))


def test_lost_answer_behind_a_refused_repetition_is_an_unknown_outcome(server: Scripted) -> None:
    """The whole path: LIST, PUT lost, repeated and refused, HEAD refused."""
    listing = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></ListBucketResult>'
    server.answers = [(200, listing), None, (403, error_body("ExpiredToken")), (403, b"")]

    with pytest.raises(OutcomeUnknownError):
        write(make_archive(store_on(server)), "a.txt", "x")


def test_deadline_that_passes_between_botocores_attempts_stops_them(server: Scripted) -> None:
    clock = ManualClock()
    store = store_on(server, clock=clock)
    server.answers = [(503, error_body("SlowDown")), OK]
    store.client.meta.events.register(
        "needs-retry.s3.PutObject", lambda **_: clock.advance(timedelta(seconds=61)), unique_id="stall"
    )

    with pytest.raises(DeadlinePassedError) as late:
        put(store, deadline=60.0)

    assert str(late.value) == "The write deadline passed before 'a' was sent."
    assert late.value.sent_before
    assert len(server.requests) == 1


def test_deadline_that_passed_before_the_first_attempt_sends_nothing(server: Scripted) -> None:
    clock = ManualClock()
    clock.advance(timedelta(seconds=61))

    with pytest.raises(DeadlinePassedError) as late:
        put(store_on(server, clock=clock), deadline=60.0)

    assert not late.value.sent_before
    assert server.requests == []


def test_deadline_of_one_put_is_not_that_of_the_next(server: Scripted) -> None:
    clock = ManualClock()
    store = store_on(server, clock=clock)
    clock.advance(timedelta(seconds=61))
    server.answers = [OK, OK]
    with suppress(DeadlinePassedError):
        put(store, deadline=60.0)

    store.client.put_object(Bucket="files", Key="b", Body=b"not ours")
    put(store)

    assert server.requests == [("PUT", "/files/b"), ("PUT", "/files/a")]


def test_every_client_is_watched_once(server: Scripted) -> None:
    store = store_on(server)
    watch_deadlines(store.client)
    S3ObjectStore(client=store.client, bucket="files")
    server.answers = [(412, error_body("PreconditionFailed"))]

    with pytest.raises(PreconditionTrippedError) as tripped:
        put(store)

    assert not tripped.value.sent_before


def test_garbled_listing_is_no_answer(server: Scripted) -> None:
    server.answers = [(200, b"<ListBucketResult><Contents><Key>a</K")]

    with pytest.raises(UnreachableError):
        store_on(server, attempts=1).list("")


def test_garbled_completion_is_no_answer(server: Scripted) -> None:
    server.answers = [(200, b"<CompleteMultipart")]

    with pytest.raises(AnswerLostError):
        store_on(server, attempts=1).complete_upload("a", "u", ["e"])


@pytest.mark.parametrize("size", [3, 100], ids=["piecewise", "at-once"])
def test_body_that_ends_early_is_never_taken_for_the_end(server: Scripted, size: int) -> None:
    server.answers = [(200, b"01234", ("Content-Length", "10"))]
    download = store_on(server).get("a")

    with pytest.raises(UnreachableError):
        list(iter(lambda: download.read(size), b""))

    download.close()


# What is sent and what is understood


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("aws-chunked", ""),
        ("gzip,aws-chunked", "gzip"),
        ("aws-chunked, gzip", "gzip"),
        ("aws-chunked,", ""),
    ],
)
def test_way_of_transport_is_no_content_encoding(
    store: S3ObjectStore, stub: Stubber, header: str, expected: str
) -> None:
    stub.add_response("head_object", {"ContentLength": 1, "ContentEncoding": header, "LastModified": NOON})

    assert store.head("a").content_encoding == expected


def test_head_without_anything_is_understood(store: S3ObjectStore, stub: Stubber) -> None:
    stub.add_response("head_object", {"ContentLength": 7})

    head = store.head("a")

    info = ObjectInfo(key="a", size=7, etag="", modified=datetime(1970, 1, 1, tzinfo=UTC))
    assert head == ObjectHead(info=info, metadata={}, content_type="", content_encoding="")


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Thu, 01 Jan 2026 12:00:00 GMT", NOON),
        ("Thu, 01 Jan 2026 13:00:00 +0100", NOON),
        ("soon", ManualClock().now()),
        (None, ManualClock().now()),
    ],
)
def test_time_of_a_put_is_the_stores_where_it_says_so(
    store: S3ObjectStore, stub: Stubber, date: str | None, expected: datetime
) -> None:
    headers = {} if date is None else {"date": date}
    stub.add_response(
        "put_object", {"ETag": '"e"', "ResponseMetadata": {"HTTPHeaders": headers, "HTTPStatusCode": 200}}
    )

    receipt = put(store)

    assert (receipt.modified, receipt.etag) == (expected, "e")


def test_creation_is_conditional_and_carries_all_attributes(store: S3ObjectStore, stub: Stubber) -> None:
    body = io.BytesIO(b"x")
    attributes = Attributes(
        metadata={"v-id": "1"},
        content_type="text/x",
        content_encoding="gzip",
        extra={"StorageClass": "STANDARD_IA", "ContentType": "loses"},
    )
    answer = {"ETag": '"e"', "ResponseMetadata": {"HTTPHeaders": {}}}
    common = {
        "Bucket": "files",
        "Key": "a",
        "Body": body,
        "Metadata": {"v-id": "1"},
        "ContentType": "text/x",
        "ContentEncoding": "gzip",
        "StorageClass": "STANDARD_IA",
    }
    stub.add_response("put_object", answer, {**common, "IfNoneMatch": "*"})
    stub.add_response("put_object", answer, common)

    store.put("a", body, mode=PutMode.CREATE, attributes=attributes)
    store.put("a", body, mode=PutMode.OVERWRITE, attributes=attributes)

    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, None, None), (0, 5, "bytes=0-4"), (5, None, "bytes=5-"), (5, 10, "bytes=5-9")],
)
def test_range_is_sent_as_http_counts(
    store: S3ObjectStore, stub: Stubber, start: int, end: int | None, expected: str | None
) -> None:
    body = StreamingBody(io.BytesIO(b"01234"), 5)
    answer = {"Body": body, "ContentLength": 5, "LastModified": NOON}
    if expected:
        answer["ContentRange"] = f"bytes {start}-{start + 4}/1000"
    sent = {"Bucket": "files", "Key": "a"} | ({"Range": expected} if expected else {})
    stub.add_response("get_object", answer, sent)

    download = store.get("a", start=start, end=end)

    assert download.head.info.size == (1000 if expected else 5)
    assert (download.read(3), download.read(9), download.read(1)) == (b"012", b"34", b"")


def test_reads_carry_the_parameters_that_reads_need(client: Any, stub: Stubber) -> None:
    parameters = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32, "RequestPayer": "requester"}
    store = S3ObjectStore(client=client, bucket="files", read_parameters=parameters)
    sent: list[dict[str, Any]] = []
    client.meta.events.register(
        "before-parameter-build.s3", lambda params, **_: sent.append(dict(params)), unique_id="sent"
    )
    stub.add_response("head_object", {"ContentLength": 1})
    stub.add_response("upload_part", {"ETag": '"e"'})

    store.head("a")
    etag = store.put_part("a", "u", 1, b"x")
    client.meta.events.unregister("before-parameter-build.s3", unique_id="sent")

    assert set(parameters) <= READ_PARAMETERS
    assert {name: sent[0][name] for name in parameters}["RequestPayer"] == "requester"
    assert ("SSECustomerKey" in sent[0], "SSECustomerKey" in sent[1], "RequestPayer" in sent[1]) == (True, True, False)
    assert etag == '"e"'


def test_delete_of_nothing_sends_nothing(store: S3ObjectStore, stub: Stubber) -> None:
    assert store.delete([]) == ()


def test_keys_that_the_store_keeps_are_told_with_their_reasons(store: S3ObjectStore, stub: Stubber) -> None:
    stub.add_response(
        "delete_objects",
        {"Errors": [{"Key": "a", "Code": "AccessDenied", "Message": "No."}, {"Key": "b"}]},
        {"Bucket": "files", "Delete": {"Objects": [{"Key": "a"}, {"Key": "b"}], "Quiet": True}},
    )

    failures = store.delete(["a", "b"])

    assert failures == (
        DeleteFailure(key="a", code="AccessDenied", message="No."),
        DeleteFailure(key="b", code="", message=""),
    )


def test_page_token_is_believed_only_where_the_list_was_cut(store: S3ObjectStore, stub: Stubber) -> None:
    stub.add_response(
        "list_objects_v2",
        {"IsTruncated": False, "NextContinuationToken": "stray"},
        {"Bucket": "files", "Prefix": "a/", "MaxKeys": 1000, "StartAfter": "a/b"},
    )
    stub.add_response(
        "list_objects_v2",
        {"IsTruncated": True, "NextContinuationToken": "next"},
        {"Bucket": "files", "Prefix": "a/", "MaxKeys": 7, "Delimiter": "/", "ContinuationToken": "this"},
    )

    last = store.list("a/", start_after="a/b")
    more = store.list("a/", delimiter="/", start_after="a/b", token="this", limit=7)

    assert (last.token, more.token) == ("", "next")


class Body:
    """A body whose read raises, or gives what it has."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.closed = False

    def read(self, size: int) -> bytes:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    "error",
    [
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ReadTimeoutError(endpoint_url="http://x"),
        ConnectionResetError("Connection reset by peer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_break_in_a_body_is_unreachable(error: Exception) -> None:
    info = ObjectInfo(key="a", size=10, etag="", modified=NOON)
    head = ObjectHead(info=info, metadata={}, content_type="", content_encoding="")
    download = S3Download(head, Body(error), 10)

    with pytest.raises(UnreachableError) as broken:
        download.read(5)

    assert str(broken.value) == f"The answer for 'a' broke off: {error}"


def test_body_without_more_bytes_is_unreachable_and_not_the_end() -> None:
    info = ObjectInfo(key="a", size=10, etag="", modified=NOON)
    head = ObjectHead(info=info, metadata={}, content_type="", content_encoding="")
    body = Body(b"01234", b"")
    download = S3Download(head, body, 10)
    download.read(5)

    with pytest.raises(UnreachableError) as broken:
        download.read(5)
    download.close()

    assert str(broken.value) == "The answer for 'a' ended 5 bytes early."
    assert body.closed


def test_secrets_are_in_no_repr(client: Any) -> None:
    store = S3ObjectStore(client=client, bucket="files", read_parameters={"SSECustomerKey": "hush"})

    assert repr(store) == "S3ObjectStore(bucket='files')"


# On a real server


def test_bucket_that_is_missing_is_no_missing_file(storage: ConsistentS3Storage) -> None:
    store = S3ObjectStore(client=shared_client(storage), bucket="nowhere")

    with pytest.raises(BucketMissingError) as missing:
        make_archive(store).newest("a.txt")

    assert not isinstance(missing.value, FileNotFoundError)
    assert str(missing.value) == (
        f"Cannot list 'a.txt.-v/': there is no bucket 'nowhere' at {storage.endpoint_url}. "
        "Create it, or correct bucket_name."
    )


def test_life_of_a_file_on_a_server(storage: ConsistentS3Storage) -> None:
    archive = storage.archive
    for text in ("one", "two"):
        write(archive, "dir/ü & +.txt", text)
    archive.delete("dir/ü & +.txt")
    archive.undelete("dir/ü & +.txt")
    large = archive.upload(
        "large.iso", details=Details(), attributes=Attributes(), threshold=5 * 1024**2, part_size=5 * 1024**2
    )
    large.write(b"1" * 5 * 1024**2)
    large.write(b"2")
    archive.publish("large.iso", large.finish())

    assert numbers(archive, "dir/ü & +.txt") == [4, 3, 2, 1]
    assert read(archive, "dir/ü & +.txt") == b"two"
    assert archive.listdir("") == (["dir"], ["large.iso"])
    assert archive.listdir("dir") == ([], ["ü & +.txt"])
    assert read(archive, "large.iso") == b"1" * 5 * 1024**2 + b"2"
    assert archive.erase("dir/ü & +.txt").versions == 4
    assert Layout().parse(archive.require("large.iso").body_key) is not None
