"""A gibibyte goes in and comes out without ever being held in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from consistent_s3.clients import shared_client
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from tests import programs

pytestmark = pytest.mark.slow

GIB = 1024**3
MEASURE = """
    def forget_peak():
        with open("/proc/self/clear_refs", "w") as references:
            references.write("5")  # the peak becomes what is resident now: that of the imports was higher

    def peak():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
"""


@pytest.fixture(scope="module")
def large() -> Iterator[dict[str, Any]]:
    """Return options of a storage on a server of its own, where `a.bin` has 1 GiB, and how much memory that took."""
    program = f"""{MEASURE}
    import hashlib
    block = bytes(range(256)) * 4096
    digest = hashlib.sha256()
    storage.save("small.txt", ContentFile(b"the client is made, the connection open"))
    forget_peak()
    before = peak()
    with storage.open("a.bin", "wb") as file:
        for number in range(1024):
            piece = number.to_bytes(4, "big") + block[4:]
            digest.update(piece)
            file.write(piece)
    print(json.dumps([peak() - before, digest.hexdigest()]))
    """
    with subprocess.Popen(
        [sys.executable, "-m", "tests.s3_process"],
        cwd=programs.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        options = {
            "bucket_name": "large",
            "endpoint_url": server.stdout.readline().strip(),
            "access_key": "test",
            "secret_key": "test",
            "index": "listing",
            "region_name": "us-east-1",
        }
        shared_client(ConsistentS3Storage(**options)).create_bucket(Bucket="large")
        memory, checksum = json.loads(programs.run(program, options=options, timeout=300))
        yield {"options": options, "memory": memory, "checksum": checksum}
        server.communicate()


def test_a_gibibyte_is_written_with_less_than_64_mib_of_memory(large: dict[str, Any]) -> None:
    assert large["memory"] < 64 * 1024**2


def test_a_gibibyte_is_read_in_chunks_with_less_than_32_mib_of_memory(large: dict[str, Any]) -> None:
    program = f"""{MEASURE}
    import hashlib
    storage.open("small.txt").read()
    forget_peak()
    before, digest, size = peak(), hashlib.sha256(), 0
    with storage.open("a.bin") as file:
        for chunk in file.chunks():
            digest.update(chunk)
            size += len(chunk)
    print(json.dumps([peak() - before, digest.hexdigest(), size]))
    """

    memory, checksum, size = json.loads(programs.run(program, options=large["options"], timeout=300))

    assert (checksum, size) == (large["checksum"], GIB)
    assert memory < 32 * 1024**2


def test_the_first_kilobyte_of_a_gibibyte_costs_one_small_get(large: dict[str, Any]) -> None:
    storage = ConsistentS3Storage(**large["options"])

    with assert_requests(storage, LIST=1, HEAD=1, GET=1) as log, storage.open("a.bin") as file:
        data = file.read(1024)

    assert len(data) == 1024
    assert log.ranges == ["bytes=0-262143"]
    assert file.size == GIB
    assert file.version.checksum == large["checksum"]
