"""Storages with equal options share a boto3 client, across threads, and never across processes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from django.core.files.base import ContentFile

from consistent_s3.clients import shared_client
from consistent_s3.core.errors import DeadlinePassedError
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests

MakeStorage = Callable[..., ConsistentS3Storage]
ROOT = Path(__file__).parent.parent


def test_storages_with_equal_options_share_a_client(make_storage: MakeStorage) -> None:
    one, two = make_storage(), make_storage()

    assert one is not two
    assert shared_client(one) is shared_client(two)


@pytest.mark.parametrize(
    "options",
    [
        {"bucket_name": "another"},
        {"location": "media"},
        {"object_parameters": {"CacheControl": "no-store"}},
        {"retention": {"keep_last": 3}},
        {"file_overwrite": False},
    ],
)
def test_what_does_not_concern_the_connection_does_not_keep_clients_apart(
    make_storage: MakeStorage, options: dict[str, Any]
) -> None:
    assert shared_client(make_storage(**options)) is shared_client(make_storage())


@pytest.mark.parametrize(
    "options",
    [
        {"region_name": "eu-west-1"},
        {"endpoint_url": "http://127.0.0.1:9"},
        {"access_key": "another"},
        {"secret_key": "another"},
        {"security_token": "another"},
        {"verify": False},
        {"use_ssl": False},
        {"signature_version": "s3v4"},
        {"addressing_style": "path"},
        {"proxies": {"http": "http://127.0.0.1:9"}},
        {"client_config": Config(read_timeout=1)},
        {"client_config": Config(retries={"max_attempts": 1})},
    ],
    ids=", ".join,
)
def test_what_concerns_the_connection_keeps_clients_apart(make_storage: MakeStorage, options: dict[str, Any]) -> None:
    plain, other, again = make_storage(), make_storage(**options), make_storage(**options)

    assert shared_client(other) is not shared_client(plain)
    assert shared_client(other) is shared_client(again)


def test_making_a_client_leaves_the_projects_configuration_as_it_was(make_storage: MakeStorage) -> None:
    retries = {"max_attempts": 1}
    storage = make_storage(client_config=Config(retries=retries, region_name="eu-north-1"))

    client = shared_client(storage)

    assert retries == {"max_attempts": 1}
    assert shared_client(storage) is client


def test_unsigned_urls_have_a_client_of_their_own(make_storage: MakeStorage) -> None:
    storage = make_storage()

    unsigned = shared_client(storage, signed=False)

    assert unsigned is not shared_client(storage)
    assert unsigned is shared_client(make_storage(), signed=False)
    assert unsigned.meta.config.signature_version is UNSIGNED


def test_threads_that_ask_together_get_one_client(make_storage: MakeStorage) -> None:
    storages = [make_storage(region_name="eu-central-1") for _ in range(16)]
    together, clients = threading.Barrier(16), []

    def ask(storage: ConsistentS3Storage) -> None:
        together.wait()
        clients.append(shared_client(storage))

    threads = [threading.Thread(target=ask, args=[storage]) for storage in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(clients) == 16
    assert len(set(map(id, clients))) == 1


def test_a_client_serves_many_connections_unless_told_otherwise(make_storage: MakeStorage, settings: Any) -> None:
    class Narrow(ConsistentS3Storage):
        client_config = Config(max_pool_connections=3)

    plain = make_storage()
    options = {name: getattr(plain, name) for name in ("bucket_name", "endpoint_url", "access_key", "secret_key")}
    configured = make_storage(client_config=Config(max_pool_connections=2))
    by_class = Narrow(**options)
    settings.AWS_S3_CLIENT_CONFIG = Config(max_pool_connections=4)
    by_setting = make_storage()

    pools = [
        shared_client(storage).meta.config.max_pool_connections for storage in (plain, configured, by_class, by_setting)
    ]

    assert pools == [50, 2, 3, 4]


def test_a_profile_gives_the_credentials(
    make_storage: MakeStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[archive]\naws_access_key_id = from-profile\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    storage = make_storage(session_profile="archive", access_key=None, secret_key=None)

    url = storage.url("a.txt")

    assert "AWSAccessKeyId=from-profile" in url


def in_a_process(program: str, options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run a program that forks: forking a process that has threads is what Python 3.12 warns of."""
    source = f"OPTIONS = {options!r}\n" + dedent(program)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_a_forked_child_has_a_client_of_its_own_and_works(storage_options: dict[str, Any]) -> None:
    program = """
        import os
        import django
        django.setup()
        from django.core.files.base import ContentFile
        from consistent_s3 import clients
        from consistent_s3.storage import ConsistentS3Storage
        storage = ConsistentS3Storage(**OPTIONS)
        storage.save("a.txt", ContentFile(b"parent"))
        mine, archive = clients.shared_client(storage), storage.archive
        clients._lock.acquire()  # as another thread might hold it in the moment of the fork
        child = os.fork()
        if child == 0:
            try:
                assert clients.shared_client(storage) is not mine
                assert storage.archive is not archive
                assert storage.open("a.txt").read() == b"parent"
                storage.save("a.txt", ContentFile(b"child"))
                os._exit(0)
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
        clients._lock.release()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert clients.shared_client(storage) is mine
        assert storage.archive is archive
        assert storage.open("a.txt").read() == b"child"
        print([version.number for version in storage.history("a.txt")])
    """
    done = in_a_process(program, storage_options)

    assert (done.stdout, done.returncode) == ("[2, 1]\n", 0), done.stderr


KEPT = {
    "event store": "keeper = storage_event_store(storage)\nread = lambda: list(keeper.types())",
    "archive": "keeper = storage.archive\nread = lambda: keeper.newest('a.txt')",
    "eventsourcing": (
        "from consistent_s3.eventsourcing import S3Factory\n"
        "from eventsourcing.utils import Environment\n"
        "os.environ |= {'AWS_ACCESS_KEY_ID': 'test', 'AWS_SECRET_ACCESS_KEY': 'test'}\n"
        "names = {'S3_BUCKET': 'bucket_name', 'S3_ENDPOINT_URL': 'endpoint_url', 'S3_REGION': 'region_name'}\n"
        "environment = Environment('', {name: OPTIONS[ours] for name, ours in names.items()})\n"
        "recorder = S3Factory(environment).aggregate_recorder()\n"
        "keeper = recorder.events\n"
        "read = lambda: recorder.select_events('1')"
    ),
}


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
def test_what_was_kept_across_a_fork_sends_nothing_over_the_parents_connections(
    storage_options: dict[str, Any], kept: str
) -> None:
    program = f"""
import os
import django
django.setup()
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams import storage_event_store
storage = ConsistentS3Storage(**OPTIONS)
{kept}
store = keeper.store
store = getattr(store, "inner", store)
sent = []
store.client().meta.events.register("before-send.s3", lambda **_: sent.append(os.getpid()))
read()
assert set(sent) == {{os.getpid()}}
child = os.fork()
if child == 0:
    try:
        read()
        assert os.getpid() not in sent, "it used the parent's client"
        os._exit(0)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

    done = in_a_process(program, {**storage_options, "index": "listing"})

    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


def test_a_client_sends_no_put_after_its_deadline(storage: ConsistentS3Storage) -> None:
    store = storage.make_object_store()
    passed = time.monotonic() - 1

    with assert_requests(storage), pytest.raises(DeadlinePassedError):
        store.put("key", io.BytesIO(), mode=PutMode.CREATE, attributes=Attributes(), deadline=passed)


def test_a_storage_does_not_show_its_secret(make_storage: MakeStorage) -> None:
    storage = make_storage(secret_key="very-secret")
    storage.save("a.txt", ContentFile(b"text"))

    shown = [repr(storage), repr(storage.archive), repr(storage.current("a.txt")), repr(storage.open("a.txt"))]

    assert "very-secret" not in "".join(shown)
