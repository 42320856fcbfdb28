"""`reindex` in a process of its own, which is killed in the middle, as by the kernel, and run again."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connections

from consistent_s3.models import StoredObject, StoredVersion
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from tests import databases
from tests.databases import ALIAS
from tests.projects import run_python, write_settings
from tests.seeding import seed

NAMES = [f"dir-{number % 7}/{number:03}.txt" for number in range(450)]
"""More than two of the batches in which rows are asked for."""
VERSIONS = 3

PROGRAM = """
import os, signal, sys
import django
django.setup()
from django.core.management import call_command
from django.db.models.signals import post_save
from consistent_s3.models import StoredVersion

left = int(sys.argv[1])

def count(**_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

post_save.connect(count, sender=StoredVersion)
call_command("consistent_s3", "reindex", "--json")
"""
"""Dies after so many rows, in the middle of the transaction that inserts them."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def alias(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), databases.made(request.param, tmp_path) as alias:
        yield alias


@pytest.mark.slow
def test_a_reindex_that_is_killed_and_run_again_brings_everything_back_once(
    alias: str, make_storage: Callable[..., ConsistentS3Storage], storage_options: dict[str, Any], tmp_path: Path
) -> None:
    listing = make_storage()
    for name in NAMES:
        seed(listing, name, range(1, VERSIONS))
    for name in NAMES[::50]:
        listing.write(name, ContentFile(b"the newest"), author="ann")
    everything = {name: [version.key for version in listing.history(name)] for name in NAMES}
    options = {**storage_options, "index": "database", "index_database": alias}
    write_settings(
        tmp_path,
        f"DATABASES[{alias!r}] = {dict(connections.settings[ALIAS])!r}\n"
        f"STORAGES['default'] = {{'BACKEND': 'consistent_s3.storage.ConsistentS3Storage', 'OPTIONS': {options!r}}}\n",
    )
    rows: list[int] = []

    for after in (1, 8, 500):
        killed = run_python(tmp_path, "-c", PROGRAM, str(after))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        rows.append(StoredVersion.objects.using(alias).count())
    finished = run_python(tmp_path, "-c", PROGRAM, "0")

    told = json.loads(finished.stdout)["default"]
    versions = sum(map(len, everything.values()))
    storage = make_storage(index="database", index_database=alias)
    assert rows[0] == 0 < rows[1] < rows[2] < versions
    assert (told["known"], told["adopted"], told["complete"]) == (rows[2], versions - rows[2], True)
    assert StoredVersion.objects.using(alias).count() == versions
    assert StoredObject.objects.using(alias).count() == len(NAMES)
    with assert_requests(storage):
        assert {name: [version.key for version in storage.history(name)] for name in NAMES} == everything
        assert storage.current(NAMES[50]).author == "ann"
