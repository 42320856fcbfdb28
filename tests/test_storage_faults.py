"""What a storage does when the network, the bucket or the rights are not as they should be."""

from __future__ import annotations

import gzip
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config
from django.core.files.base import ContentFile

from consistent_s3.assembly import place_of
from consistent_s3.clients import shared_client
from consistent_s3.core.errors import (
    AccessDeniedError,
    BucketMissingError,
    OutcomeUnknownError,
    StoreError,
    UnreachableError,
)
from consistent_s3.core.seams import SystemClock
from consistent_s3.core.selftest import honouring
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import S3Server, assert_requests, count_requests
from tests.answers import answering
from tests.proxy import Proxy

MakeStorage = Callable[..., ConsistentS3Storage]
VERSION = r"\.-v/\d"
HINT = r"\.-v-deleted"
MIB = 1024**2
DATA = bytes(range(256)) * 4096 * 3  # 3 MiB

ONCE = {"client_config": Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10)}
"""Each request is sent once: the storage's own rules are on trial."""
AGAIN = {"client_config": Config(retries={"total_max_attempts": 3}, connect_timeout=2, read_timeout=10)}
"""botocore repeats requests by itself, as it does by default: a retry meets its own first attempt."""


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[Proxy]:
    with Proxy(s3_server.url) as proxy:
        yield proxy


@pytest.fixture
def through(make_storage: MakeStorage, proxy: Proxy) -> Iterator[MakeStorage]:
    """Return a function that makes storages whose connections pass through the proxy."""
    made: list[ConsistentS3Storage] = []

    def make(**options: Any) -> ConsistentS3Storage:
        made.append(make_storage(**{**ONCE, "endpoint_url": proxy.url, **options}))
        honouring.add(place_of(made[-1]))
        return made[-1]

    yield make
    for storage in made:
        shared_client(storage).close()


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock go forward where it would be waited for: a deadline passes soon, and never too soon."""
    real, slept = SystemClock.monotonic, []
    monkeypatch.setattr(SystemClock, "monotonic", lambda clock: real(clock) + sum(slept))
    monkeypatch.setattr(SystemClock, "sleep", lambda clock, seconds: slept.append(seconds))


def history(storage: ConsistentS3Storage, name: str = "a.txt") -> list[int]:
    return [version.number for version in storage.history(name)]


# Answers of writes that are lost after the write was applied


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        pytest.param(ONCE, {"LIST": 1, "PUT": 1, "HEAD": 1}, id="not repeated by botocore"),
        pytest.param(AGAIN, {"LIST": 1, "PUT": 2, "HEAD": 1}, id="repeated by botocore"),
    ],
)
def test_a_save_whose_answer_is_lost_succeeds_once(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy, options: Any, requests: dict[str, int]
) -> None:
    cut = proxy.cut("PUT", VERSION)
    flaky = through(**options)

    with assert_requests(flaky, **requests):
        version = flaky.write("a.txt", ContentFile(b"text"), author="ann")

    assert cut.fired == 1
    assert (version.number, version.author) == (1, "ann")
    assert history(storage) == [1]
    assert storage.open("a.txt").read() == b"text"
    assert next(storage.history("a.txt")) == version


@pytest.mark.parametrize("options", [ONCE, AGAIN], ids=["not repeated", "repeated"])
def test_a_new_file_whose_answer_is_lost_does_not_take_a_second_name(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy, options: Any
) -> None:
    cut = proxy.cut("PUT", VERSION)

    name = through(file_overwrite=False, **options).save("a.txt", ContentFile(b"text"))

    assert cut.fired == 1
    assert name == "a.txt"
    assert storage.listdir("") == ([], ["a.txt"])
    assert history(storage) == [1]


@pytest.mark.parametrize("options", [ONCE, AGAIN], ids=["not repeated", "repeated"])
def test_an_expected_number_is_not_in_conflict_with_its_own_lost_write(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy, options: Any
) -> None:
    storage.save("a.txt", ContentFile(b"one"))
    proxy.cut("PUT", VERSION)

    version = through(**options).write("a.txt", ContentFile(b"two"), expected=1)

    assert version.number == 2
    assert history(storage) == [2, 1]


def test_a_clock_numbered_save_whose_answer_is_lost_is_in_the_history_once(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy
) -> None:
    cut = proxy.cut("PUT", VERSION)

    version = through(numbering="clock").write("a.txt", ContentFile(b"text"))

    assert cut.fired == 1
    assert history(storage) == [version.number]


@pytest.mark.parametrize("options", [ONCE, AGAIN], ids=["not repeated", "repeated"])
def test_a_deletion_whose_answer_is_lost_happens_once(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy, options: Any
) -> None:
    storage.save("a.txt", ContentFile(b"text"))
    cut = proxy.cut("PUT", VERSION)

    tombstone = through(**options).delete("a.txt")

    assert cut.fired == 1
    assert (tombstone.number, tombstone.tombstone) == (2, True)
    assert history(storage) == [2, 1]
    assert storage.listdir("") == ([], [])


@pytest.mark.usefixtures("_no_waiting")
def test_a_hint_that_cannot_be_written_deletes_nothing(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy
) -> None:
    storage.save("a.txt", ContentFile(b"text"))
    cut = proxy.cut("PUT", HINT, times=999)

    with pytest.raises(StoreError):
        through().delete("a.txt")

    assert cut.fired
    assert history(storage) == [1]
    assert storage.listdir("") == ([], ["a.txt"])
    storage.delete("a.txt")
    assert storage.listdir("") == ([], [])


def test_a_write_of_which_nothing_more_is_heard_is_of_unknown_outcome(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy
) -> None:
    proxy.cut("PUT", VERSION)
    proxy.cut("HEAD", times=99)

    with pytest.raises(OutcomeUnknownError) as raised:
        through().write("a.txt", ContentFile(b"text"))

    (landed,) = storage.history("a.txt")
    assert str(raised.value) == (
        "Nobody can say whether version 1 of 'a.txt' was written: it was sent, and no answer came. "
        f"Look in the history for the write id {landed.details.write_id} before writing again."
    )
    assert (raised.value.name, raised.value.number, raised.value.write_id) == ("a.txt", 1, landed.details.write_id)


@pytest.mark.usefixtures("_no_waiting")
def test_a_store_that_answers_503_until_the_deadline_leaves_the_outcome_unknown(make_storage: MakeStorage) -> None:
    storage = make_storage(**ONCE)

    with answering(storage, 503, "SlowDown", "PutObject"), pytest.raises(OutcomeUnknownError):
        storage.save("a.txt", ContentFile(b"text"))

    assert history(storage) == []
    assert storage.write("a.txt", ContentFile(b"text")).number == 1


@pytest.mark.parametrize("options", [ONCE, AGAIN], ids=["not repeated", "repeated"])
def test_a_large_body_whose_completion_is_lost_is_published_once(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy, options: Any
) -> None:
    cut = proxy.cut("POST", r"\?uploadId=")

    with through(**options).open("a.bin", "wb") as file:
        for _ in range(3):
            file.write(DATA)

    assert cut.fired == 1
    assert file.version.size == len(DATA) * 3
    assert history(storage, "a.bin") == [1]
    assert storage.open("a.bin").read() == DATA * 3


def test_a_part_whose_answer_is_lost_is_sent_again(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy
) -> None:
    cut = proxy.cut("PUT", "partNumber=1")

    with through(**AGAIN).open("a.bin", "wb") as file:
        for _ in range(3):
            file.write(DATA)

    assert cut.fired == 1
    assert storage.open("a.bin").read() == DATA * 3


# Bodies that break off


def test_a_body_cut_in_the_middle_is_read_to_its_last_byte(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy
) -> None:
    storage.save("a.bin", ContentFile(DATA))
    cut = proxy.cut("GET", VERSION, after=1_000_000)

    with assert_requests(flaky := through(), LIST=1, GET=2) as log, flaky.open("a.bin") as file:
        data = file.read()

    assert cut.fired == 1
    assert data == DATA
    first, second = log.ranges
    reached = int(re.fullmatch(r"bytes=(\d+)-3145727", second)[1])
    assert first == "bytes=0-3145727"
    assert 0 < reached <= 1_000_000


@pytest.mark.parametrize(
    "read", [lambda file: file.read(), lambda file: b"".join(file.chunks())], ids=["all", "chunks"]
)
@pytest.mark.parametrize("after", [1, 70_000, 250_000])
def test_a_body_cut_many_times_is_read_to_its_last_byte(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy, after: int, read: Callable[[Any], bytes]
) -> None:
    storage.save("a.bin", ContentFile(DATA))
    cut = proxy.cut("GET", VERSION, after=after, times=4)

    with through().open("a.bin") as file:
        data = read(file)

    assert cut.fired == 4
    assert data == DATA


def test_a_compressed_body_cut_in_the_middle_is_read_to_its_last_byte(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy
) -> None:
    style = "".join(f".c{number * number} {{}}\n" for number in range(100_000)).encode()
    assert len(gzip.compress(style)) > 200_000
    flaky = through(gzip=True)
    flaky.save("a.css", ContentFile(style))
    cut = proxy.cut("GET", VERSION, after=100_000, times=2)

    with flaky.open("a.css") as file:
        data = file.read()

    assert cut.fired == 2
    assert data == style


def test_a_body_that_never_gets_on_is_an_error(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy
) -> None:
    storage.save("a.bin", ContentFile(DATA))
    cut = proxy.cut("GET", VERSION, after=0, times=99)

    with through().open("a.bin") as file, pytest.raises(UnreachableError) as raised:
        file.read()

    assert cut.fired == 6
    assert isinstance(raised.value, ConnectionError)
    assert "broke off" in str(raised.value) or "ended 3145728 bytes early" in str(raised.value)


def test_a_file_read_after_an_error_goes_on_where_it_was(
    through: MakeStorage, storage: ConsistentS3Storage, proxy: Proxy
) -> None:
    storage.save("a.bin", ContentFile(DATA))
    file = through().open("a.bin")
    head = file.read(100_000)
    cut = proxy.cut("GET", VERSION, after=0, times=6)
    file.seek(2_000_000)
    with pytest.raises(UnreachableError):
        file.read(10)

    file.seek(100_000)
    tail = file.read()

    assert cut.fired == 6
    assert head + tail == DATA
    file.close()


# Nobody there


@pytest.fixture
def nobody(make_storage: MakeStorage) -> Iterator[ConsistentS3Storage]:
    """Return a storage on a port where nobody listens, nor anybody else can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield make_storage(endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}", **ONCE)


OPERATIONS = {
    "save": lambda storage: storage.save("a.txt", ContentFile(b"text")),
    "write": lambda storage: storage.write("a.txt", ContentFile(b"text"), expected=3),
    "open": lambda storage: storage.open("a.txt"),
    "open a number": lambda storage: storage.open("a.txt", version=1),
    "write through a file": lambda storage: storage.open("a.txt", "wb").close(),
    "exists": lambda storage: storage.exists("a.txt"),
    "size": lambda storage: storage.size("a.txt"),
    "modified time": lambda storage: storage.get_modified_time("a.txt"),
    "url": lambda storage: storage.url("a.txt"),
    "listdir": lambda storage: storage.listdir("a"),
    "delete": lambda storage: storage.delete("a.txt"),
    "undelete": lambda storage: storage.undelete("a.txt"),
    "restore": lambda storage: storage.restore("a.txt", 1),
    "erase": lambda storage: storage.erase("a.txt"),
    "current": lambda storage: storage.current("a.txt"),
    "history": lambda storage: list(storage.history("a.txt")),
}


@pytest.fixture(params=OPERATIONS.values(), ids=OPERATIONS.keys())
def operation(request: pytest.FixtureRequest) -> Callable[[ConsistentS3Storage], object]:
    return request.param


@pytest.mark.django_db  # an erasure asks what is held
def test_where_nobody_listens_every_operation_says_so_soon(
    nobody: ConsistentS3Storage, operation: Callable[[ConsistentS3Storage], object]
) -> None:
    started = time.monotonic()

    with pytest.raises(UnreachableError) as raised:
        operation(nobody)

    assert time.monotonic() - started < 10
    assert isinstance(raised.value, ConnectionError)
    assert re.fullmatch(
        rf"Cannot list '[^']*' in bucket '{nobody.bucket_name}' at {nobody.endpoint_url}: "
        rf'Could not connect to the endpoint URL: "{nobody.endpoint_url}/.*"',
        str(raised.value),
    )


@pytest.mark.django_db  # an erasure asks what is held
def test_a_bucket_that_is_missing_is_no_missing_file(
    make_storage: MakeStorage, operation: Callable[[ConsistentS3Storage], object]
) -> None:
    storage = make_storage(bucket_name="no-such-bucket")

    with pytest.raises(BucketMissingError) as raised:
        operation(storage)

    assert not isinstance(raised.value, FileNotFoundError)
    assert re.fullmatch(
        rf"Cannot list '[^']*': there is no bucket 'no-such-bucket' at {storage.endpoint_url}\. "
        r"Create it, or correct bucket_name\.",
        str(raised.value),
    )


@pytest.mark.django_db  # an erasure asks what is held
def test_a_bucket_that_may_not_be_listed_says_so(
    storage: ConsistentS3Storage, operation: Callable[[ConsistentS3Storage], object]
) -> None:
    with answering(storage, 403, "AccessDenied", "ListObjectsV2"), pytest.raises(AccessDeniedError) as raised:
        operation(storage)

    assert isinstance(raised.value, PermissionError)
    assert str(raised.value).endswith(
        f"in bucket '{storage.bucket_name}' at {storage.endpoint_url}: AccessDenied. "
        "Check the credentials and the bucket's policy."
    )


@pytest.mark.django_db  # an erasure asks what is held
@pytest.mark.parametrize("name", ["save", "write through a file", "delete", "undelete", "restore", "erase"])
def test_a_bucket_that_may_only_be_read_is_not_changed(storage: ConsistentS3Storage, name: str) -> None:
    storage.save("a.txt", ContentFile(b"text"))
    if name == "undelete":
        storage.delete("a.txt")
    before = list(storage.history("a.txt"))

    with (
        answering(storage, 403, "AccessDenied", "PutObject", "DeleteObjects"),
        pytest.raises(AccessDeniedError, match=r"^Cannot write 'a\.txt\.-v.*' in .*: AccessDenied\.") as raised,
    ):
        OPERATIONS[name](storage)

    assert isinstance(raised.value, PermissionError)
    assert list(storage.history("a.txt")) == before


def test_a_bucket_that_may_only_be_read_refuses_a_large_body_at_its_first_part(storage: ConsistentS3Storage) -> None:
    file = storage.open("a.bin", "wb")

    with answering(storage, 403, "AccessDenied", "CreateMultipartUpload"), pytest.raises(AccessDeniedError) as raised:
        file.write(DATA * 3)

    assert file.closed
    assert str(raised.value).startswith("Cannot begin to upload 'a.bin.-v")


def test_an_object_that_may_not_be_read_says_so(storage: ConsistentS3Storage) -> None:
    storage.save("a.txt", ContentFile(b"text"))

    with (
        answering(storage, 403, "AccessDenied", "GetObject"),
        storage.open("a.txt") as file,
        pytest.raises(AccessDeniedError, match=r"^Cannot read 'a\.txt\.-v/"),
    ):
        file.read()


def test_a_store_without_conditional_writes_names_the_cure(storage: ConsistentS3Storage) -> None:
    with answering(storage, 501, "NotImplemented", "PutObject"), pytest.raises(StoreError) as raised:
        storage.save("a.txt", ContentFile(b"text"))

    assert str(raised.value) == (
        f"Cannot write 'a.txt.-v/{10**19 - 2}.txt': bucket '{storage.bucket_name}' at {storage.endpoint_url} does not "
        "implement it. If it has no conditional writes, set numbering to 'clock'."
    )


def test_without_credentials_the_error_says_so(make_storage: MakeStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    storage = make_storage(access_key=None, secret_key=None)

    with pytest.raises(AccessDeniedError) as raised:
        storage.exists("a.txt")

    assert str(raised.value) == (
        f"Cannot list 'a.txt.-v/' in bucket '{storage.bucket_name}' at {storage.endpoint_url}: "
        "no credentials were found."
    )


def test_a_parameter_that_boto3_does_not_know_is_named(make_storage: MakeStorage) -> None:
    storage = make_storage(object_parameters={"CacheControll": "no-store"})

    with count_requests(storage) as log, pytest.raises(StoreError, match='Unknown parameter in input: "CacheControll"'):
        storage.save("a.txt", ContentFile(b"text"))

    assert log.counts["PUT"] == 0
