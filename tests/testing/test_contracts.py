"""The contracts, kept by every store of this project and by any real endpoint that is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.files.base import ContentFile

from consistent_s3.clients import shared_client
from consistent_s3.core.archive import Archive
from consistent_s3.core.documents import Documents
from consistent_s3.core.keys import Layout
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.core.seams import ObjectStore
from consistent_s3.index.listing import ListingIndex
from consistent_s3.state import JSONSerializer
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import MemoryObjectStore, S3Server
from consistent_s3.testing.contracts import DocumentsContract, EventStoreContract, ObjectStoreContract

CONTRACTS = [ObjectStoreContract, EventStoreContract, DocumentsContract]
"""Those that an endpoint must keep."""
ENDPOINT = os.environ.get("CONSISTENT_S3_TEST_ENDPOINT", "")
BUCKET = os.environ.get("CONSISTENT_S3_TEST_BUCKET", "")


class TestMemoryObjectStore(ObjectStoreContract):
    rounds = 50

    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryObjectStore()


class TestS3ObjectStoreOnMoto(ObjectStoreContract):
    rounds = 3

    @pytest.fixture
    def store(self, storage: ConsistentS3Storage) -> ObjectStore:
        return storage.archive.store


@pytest.fixture(scope="session")
def endpoints_bucket() -> Iterator[S3ObjectStore]:
    """Return a bucket of our own on the endpoint that the environment names, and remove it; or the one it names."""
    client = boto3.client("s3", endpoint_url=ENDPOINT)  # credentials and region from AWS's own variables
    if BUCKET:
        yield S3ObjectStore(client=client, bucket=BUCKET)
    else:
        bucket = f"consistent-s3-test-{uuid.uuid4().hex[:12]}"
        region = client.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=bucket, **place)  # type: ignore[arg-type]
        store = S3ObjectStore(client=client, bucket=bucket)
        yield store
        while left := store.list("").objects:
            store.delete([info.key for info in left])
        client.delete_bucket(Bucket=bucket)
    client.close()


if ENDPOINT:

    @pytest.mark.service
    class TestS3ObjectStoreOnRealEndpoint(ObjectStoreContract):
        @pytest.fixture
        def store(self, endpoints_bucket: S3ObjectStore) -> ObjectStore:
            return endpoints_bucket

    @pytest.mark.service
    class TestEventStoreOnRealEndpoint(EventStoreContract):
        racers = 4
        appends = 3

        @pytest.fixture
        def store(self, endpoints_bucket: S3ObjectStore) -> ObjectStore:
            return endpoints_bucket

    @pytest.mark.service
    class TestDocumentsOnRealEndpoint(DocumentsContract):
        racers = 4
        updates = 3

        @pytest.fixture
        def documents(self, endpoints_bucket: S3ObjectStore) -> Documents[Any]:
            layout = Layout()
            archive = Archive(
                store=endpoints_bucket, index=ListingIndex(store=endpoints_bucket, layout=layout), layout=layout
            )
            return Documents(archive=archive, serializer=JSONSerializer(), prefix="contract-documents")


@pytest.mark.slow
@pytest.mark.parametrize("named", [False, True], ids=["a bucket of its own", "a bucket that is named"])
def test_contracts_run_on_an_endpoint_that_the_environment_names(
    s3_server: S3Server, storage: ConsistentS3Storage, named: bool
) -> None:
    client = shared_client(storage)
    storage.save("kept.txt", ContentFile(b"kept"))
    before = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    access = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}
    endpoint = {"CONSISTENT_S3_TEST_ENDPOINT": s3_server.url, "CONSISTENT_S3_NO_SKIPS": "1"}
    bucket = {"CONSISTENT_S3_TEST_BUCKET": storage.bucket_name} if named else {}

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "RealEndpoint"],
        env={**os.environ, **access, **endpoint, **bucket},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout
    tests = [name for contract in CONTRACTS for name in dir(contract) if name.startswith("test_")]
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) >= len(tests) > 50
    assert {bucket["Name"] for bucket in client.list_buckets()["Buckets"]} == before
    assert storage.open("kept.txt").read() == b"kept"


STORES = """
import pytest
from consistent_s3.core.seams import PutMode
from consistent_s3.testing import MemoryObjectStore
from consistent_s3.testing.contracts import ObjectStoreContract

class Sound(MemoryObjectStore):
    pass

class IgnoresCondition(MemoryObjectStore):
    def put(self, key, body, **options):
        return super().put(key, body, **{**options, "mode": PutMode.OVERWRITE})

class IgnoresDeadline(MemoryObjectStore):
    def put(self, key, body, **options):
        return super().put(key, body, **{**options, "deadline": None})

class TestForgotten(ObjectStoreContract):
    pass

@pytest.fixture(params=[Sound, IgnoresCondition, IgnoresDeadline], ids=lambda kind: kind.__name__)
def made(request):
    return request.param()

class Test(ObjectStoreContract):
    @pytest.fixture
    def store(self, made):
        return made
"""
TESTS = ["second_creation_is_tripped", "racing_creators_have_one_winner", "put_after_its_deadline"]

DOCUMENTS = """
import json
import pytest
from consistent_s3.core.archive import Archive
from consistent_s3.core.documents import Documents
from consistent_s3.core.keys import Layout
from consistent_s3.index.listing import ListingIndex
from consistent_s3.testing import MemoryObjectStore
from consistent_s3.testing.contracts import DocumentsContract

class Json:
    content_type = "application/json"

    def dumps(self, value):
        return json.dumps(value).encode()

    def loads(self, data):
        return json.loads(data)

class Sound(Documents):
    pass

class IgnoresExpected(Documents):
    def write(self, key, value, *, expected=None, **options):
        return super().write(key, value, **options)

class LosesChanges(Documents):
    def _write(self, key, data, expected, *, learned=None, **options):
        return super()._write(key, data, expected if learned is None else None, **options)

class WritesTheSame(Documents):
    def _changed(self, key, value, before, default):
        return self.serializer.dumps(value)

class TestForgotten(DocumentsContract):
    pass

@pytest.fixture(params=[Sound, IgnoresExpected, LosesChanges, WritesTheSame], ids=lambda kind: kind.__name__)
def made(request):
    store, layout = MemoryObjectStore(), Layout()
    archive = Archive(store=store, index=ListingIndex(store=store, layout=layout), layout=layout)
    return request.param(archive=archive, serializer=Json())

class Test(DocumentsContract):
    @pytest.fixture
    def documents(self, made):
        return made
"""
DOCUMENT_TESTS = ["another_version_than_expected", "update_on_which_others_write", "update_that_changes_nothing"]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run some of the contracts on what is sound and broken, in a project of its own, and return what pytest says."""
    directory = tmp_path_factory.mktemp("project")
    directory.joinpath("pytest.ini").write_text("[pytest]")
    directory.joinpath("test_stores.py").write_text(STORES)
    directory.joinpath("test_documents.py").write_text(DOCUMENTS)
    command = [sys.executable, "-m", "pytest", "-rA", "--tb=short", "-k", " or ".join(TESTS + DOCUMENT_TESTS)]
    command += [part for plugin in ("randomly", "cacheprovider", "django") for part in ("-p", f"no:{plugin}")]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("store", "test", "verdict"),
    [
        ("Sound", TESTS[0], "PASSED"),
        ("Sound", TESTS[1], "PASSED"),
        ("Sound", TESTS[2], "PASSED"),
        ("IgnoresCondition", TESTS[0], "FAILED"),
        ("IgnoresCondition", TESTS[1], "FAILED"),
        ("IgnoresCondition", TESTS[2], "PASSED"),
        ("IgnoresDeadline", TESTS[0], "PASSED"),
        ("IgnoresDeadline", TESTS[2], "FAILED"),
    ],
)
def test_contract_catches_a_store_that_breaks_it(verdicts: str, store: str, test: str, verdict: str) -> None:
    assert re.search(rf"^{verdict} test_stores\.py::Test::test_{test}\w*\[{store}\]", verdicts, re.MULTILINE)


@pytest.mark.parametrize("test", DOCUMENT_TESTS)
@pytest.mark.parametrize(
    ("documents", "caught_by"),
    [
        ("Sound", None),
        ("IgnoresExpected", DOCUMENT_TESTS[0]),
        ("LosesChanges", DOCUMENT_TESTS[1]),
        ("WritesTheSame", DOCUMENT_TESTS[2]),
    ],
)
def test_contract_catches_documents_that_break_it(
    verdicts: str, documents: str, caught_by: str | None, test: str
) -> None:
    verdict = "FAILED" if test == caught_by else "PASSED"
    assert re.search(rf"^{verdict} test_documents\.py::Test::test_{test}\w*\[{documents}\]", verdicts, re.MULTILINE)


def test_contract_without_a_fixture_says_what_to_do(verdicts: str) -> None:
    assert "Override the fixture `store` with one that returns the store to be tested." in verdicts
    assert "Override the fixture `documents` with one that returns the documents to be tested." in verdicts
