"""Rows in PostgreSQL, where transactions really run side by side."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import ConnectionHandler, connections, transaction
from psycopg import OperationalError, connect, sql

from tests.archive.models import Contract, Document, Ticket

pytestmark = pytest.mark.service

ALIAS = "postgres"
SERVER = {"host": "127.0.0.1", "port": 5432, "user": "postgres"}
WAIT = 120
"""Seconds after which a thread that waits for another is a failure."""


class OopsError(Exception):
    """What makes a transaction roll back."""


class EverythingInPostgres:
    """A router that sends every model to the other database."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return ALIAS

    db_for_write = db_for_read


@pytest.fixture
def postgres(settings: Any, django_db_blocker: Any) -> Iterator[None]:
    """Make a database with the tests' tables, and all models live in it."""
    name = f"consistent_s3_{uuid.uuid4().hex}"
    try:
        server = connect(**SERVER, dbname="postgres", autocommit=True, connect_timeout=30)
    except OperationalError as error:
        pytest.skip(f"No PostgreSQL at 127.0.0.1:5432 for user postgres: {error}")
    server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": SERVER["user"],
        "HOST": SERVER["host"],
        "PORT": SERVER["port"],
    }
    connections.settings[ALIAS] = ConnectionHandler({"default": database}).settings["default"]
    settings.DATABASE_ROUTERS = [EverythingInPostgres()]
    try:
        with django_db_blocker.unblock():
            with connections[ALIAS].schema_editor() as editor:
                for model in (Document, Contract, Ticket):
                    editor.create_model(model)
            yield
    finally:
        connections[ALIAS].close()
        del connections[ALIAS], connections.settings[ALIAS]
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        server.close()


@pytest.fixture
def contract(postgres: None, default_storage: Any) -> Contract:
    contract = Contract(title="Lease")
    contract.file.save("a.txt", ContentFile(b"one"))
    return contract


def read(contract: Contract) -> bytes:
    with Contract.objects.get(pk=contract.pk).file.open() as opened:
        return opened.read()


def in_a_thread(work: Any) -> Any:
    """Return what a function returns in a thread with a connection of its own."""

    def closing() -> Any:
        try:
            return work()
        finally:
            connections[ALIAS].close()

    return closing


def history(contract: Contract) -> dict[int, bytes]:
    return {version.number: contract.file.at(version.number).read() for version in contract.file.history()}


def test_others_see_the_old_file_until_the_transaction_commits(contract):
    with transaction.atomic(using=ALIAS):
        mine = Contract.objects.get()
        mine.file.save("b.txt", ContentFile(b"two"))
        inside = read(contract)
        with ThreadPoolExecutor() as pool:
            outside = pool.submit(in_a_thread(lambda: read(contract))).result(WAIT)
    after = read(contract)

    assert (inside, outside, after) == (b"two", b"one", b"two")


@pytest.mark.parametrize(
    ("ends_well", "expected"), [(True, b"three"), (False, b"three")], ids=["commits", "rolls back"]
)
def test_two_transactions_that_replace_one_file_both_stay_in_its_history(contract, ends_well, expected):
    saved, wrote = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic(using=ALIAS):
            row = Contract.objects.get()
            row.file.save("b.txt", ContentFile(b"two"))
            saved.set()
            assert wrote.wait(WAIT)
            if not ends_well:
                raise OopsError

    def second() -> None:
        row = Contract.objects.get()
        assert saved.wait(WAIT)
        row.file.save("c.txt", ContentFile(b"three"), save=False)
        wrote.set()
        row.save()

    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(in_a_thread(work)) for work in (first, second)]
        errors = [future.exception(WAIT) for future in futures]

    assert [type(error) for error in errors] == [type(None) if ends_well else OopsError, type(None)]
    assert history(contract) == {3: b"three", 2: b"two", 1: b"one"}
    assert read(contract) == b"three"
    assert Contract.objects.get().file_version == 3


def test_the_newer_version_of_a_transaction_that_is_rolled_back_does_not_show(contract):
    def doomed() -> None:
        with transaction.atomic(using=ALIAS):
            Contract.objects.get().file.save("b.txt", ContentFile(b"lost"))
            raise OopsError

    with pytest.raises(OopsError):
        doomed()

    assert read(contract) == b"one"
    assert Contract.objects.get().file_version == 1
    assert history(contract) == {2: b"lost", 1: b"one"}


def test_eight_threads_that_replace_one_file_lose_nothing(contract):
    ready = threading.Barrier(8)

    def replace(number: int) -> int:
        row = Contract.objects.get()
        ready.wait(WAIT)
        row.file = ContentFile(b"by %d" % number, name=f"{number}.txt")
        row.save()
        return row.file_version

    with ThreadPoolExecutor(8) as pool:
        taken = [pool.submit(in_a_thread(lambda number=number: replace(number))) for number in range(8)]
        numbers = {number: future.result(WAIT) for number, future in enumerate(taken)}

    assert sorted(numbers.values()) == list(range(2, 10))
    assert history(contract) == {1: b"one"} | {taken: b"by %d" % number for number, taken in numbers.items()}
    row = Contract.objects.get()
    assert row.file.name == "contracts/a.txt"
    assert read(contract) == history(contract)[row.file_version]


def test_a_row_whose_key_comes_from_the_database_gets_a_file(postgres, default_storage):
    Ticket.objects.create(file=ContentFile(b"one", name="a.txt"))

    ticket = Ticket.objects.get()
    assert (ticket.code, ticket.file.name, ticket.file.read()) == ("first", "tickets/a.txt", b"one")


def test_eight_threads_that_make_rows_with_one_name_make_eight_files(postgres, default_storage):
    ready = threading.Barrier(8)

    def create(number: int) -> None:
        ready.wait(WAIT)
        Document.objects.create(title=str(number), file=ContentFile(b"by %d" % number, name="a.txt"))

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(in_a_thread(lambda number=number: create(number))) for number in range(8)]:
            future.result(WAIT)

    documents = Document.objects.all()
    assert len({document.file.name for document in documents}) == 8
    assert {document.title: document.file.open().read() for document in documents} == {
        str(number): b"by %d" % number for number in range(8)
    }
