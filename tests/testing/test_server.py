"""The S3 server of the test kit serves whoever asks it, also from within a request."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from django.core.files.base import ContentFile
from storages.backends.s3 import S3Storage

from consistent_s3.clients import shared_client
from consistent_s3.storage import ConsistentS3Storage


@pytest.fixture
def plain(storage_options: dict[str, Any]) -> S3Storage:
    """Return django-storages' own storage on a bucket of the server; it does not wait for ever."""
    options = {name: value for name, value in storage_options.items() if name != "index"}
    return S3Storage(**options, client_config=Config(read_timeout=60, retries={"total_max_attempts": 1}))


def test_what_is_read_from_the_server_can_be_sent_to_it(storage_options, plain):
    storage = ConsistentS3Storage(**storage_options)
    storage.save("a.txt", ContentFile(b"x" * 100_000))

    with storage.open("a.txt") as file:
        plain.save("copy.txt", file)

    with plain.open("copy.txt") as copy:
        assert copy.read() == b"x" * 100_000


@pytest.mark.parametrize("size", [0, 1, 1024**2, 1024**2 + 1])
def test_a_body_arrives_whole(storage_options, size):
    client = shared_client(ConsistentS3Storage(**storage_options))
    bucket = storage_options["bucket_name"]

    client.put_object(Bucket=bucket, Key="key", Body=b"x" * size)

    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x" * size
