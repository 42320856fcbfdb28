"""The contract, kept by every store of this project and by any real endpoint that is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import boto3
import pytest

from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.core.seams import ObjectStore
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import MemoryObjectStore
from consistent_s3.testing.contracts import ObjectStoreContract

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


if ENDPOINT and BUCKET:

    @pytest.mark.service
    class TestS3ObjectStoreOnRealEndpoint(ObjectStoreContract):
        @pytest.fixture
        def store(self) -> ObjectStore:
            return S3ObjectStore(client=boto3.client("s3", endpoint_url=ENDPOINT), bucket=BUCKET)


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


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run some of the contract on sound and broken stores, in a project of its own, and return what pytest says."""
    directory = tmp_path_factory.mktemp("project")
    directory.joinpath("pytest.ini").write_text("[pytest]")
    directory.joinpath("test_stores.py").write_text(STORES)
    command = [sys.executable, "-m", "pytest", "-rA", "--tb=short", "-k", " or ".join(TESTS)]
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


def test_contract_without_a_store_says_what_to_do(verdicts: str) -> None:
    assert "Override the fixture `store` with one that returns the store to be tested." in verdicts
