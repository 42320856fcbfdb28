"""Two people who replace one file at the same moment, each in a transaction of a real PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import ConnectionHandler, connections
from django.test import Client
from psycopg import OperationalError, connect, sql

from tests.archive.models import Contract
from tests.databases import POSTGRESQL
from tests.test_admin import change_url
from tests.test_admin_replacing import inputs, opened, upload
from tests.test_fields_postgres import ALIAS, EverythingInPostgres

pytestmark = pytest.mark.service


@pytest.fixture
def postgres(settings: Any, django_db_blocker: Any) -> Iterator[None]:
    """Make a database with all tables, and all models live in it."""
    name = f"consistent_s3_{uuid.uuid4().hex}"
    try:
        server = connect(**POSTGRESQL, dbname="postgres", autocommit=True, connect_timeout=30)
    except OperationalError as error:
        pytest.skip(f"No PostgreSQL at 127.0.0.1:5432 for user postgres: {error}")
    server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "postgres", "HOST": "127.0.0.1"}
    connections.settings[ALIAS] = ConnectionHandler({"default": database}).settings["default"]
    settings.DATABASE_ROUTERS = [EverythingInPostgres()]
    try:
        with django_db_blocker.unblock():
            with connections[ALIAS].schema_editor() as editor:
                for model in apps.get_models():
                    if not model._meta.proxy:
                        editor.create_model(model)
            yield
    finally:
        connections[ALIAS].close()
        del connections[ALIAS], connections.settings[ALIAS]
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        server.close()


def in_another_connection(work: Any) -> None:
    """Work in a thread with a connection of its own, and wait for it."""

    def closing() -> None:
        try:
            work()
        finally:
            connections[ALIAS].close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(closing).result(timeout=120)


def test_who_commits_second_is_told_and_nothing_is_lost(
    postgres, default_storage, settings, storage_options, monkeypatch
):
    backend = settings.STORAGES["default"]["BACKEND"]
    options = {**storage_options, "index": "database"}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"one"), author="ann")
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    data = opened(client, contract)
    model_admin = admin.site.get_model_admin(Contract)
    save_model = model_admin.save_model
    races = []

    def save_after_somebody(request: Any, obj: Any, form: Any, change: Any) -> None:
        if not races:
            races.append(1)
            other = Contract.objects.get(pk=contract.pk)
            in_another_connection(lambda: other.file.save("x.txt", ContentFile(b"theirs"), author="eve"))
        save_model(request, obj, form, change)

    monkeypatch.setattr(model_admin, "save_model", save_after_somebody)
    answer = client.post(change_url(contract), {**data, "title": "Typed", "file": upload(), "file-comment": "why"})
    page = answer.content.decode()
    anyway = {**inputs(page), "file-anyway": "2:contracts/lease.txt"}
    second = client.post(change_url(contract), anyway)

    assert answer.status_code == 200
    assert "You are replacing version 1, but version 2 is current (by eve, " in page
    assert inputs(page)["title"] == "Typed"
    assert second.status_code == 302
    contract.refresh_from_db()
    kept = [(version.number, version.author) for version in contract.file.history()]
    assert kept == [(3, "admin"), (2, "eve"), (1, "ann")]
    assert (contract.title, contract.file.read()) == ("Typed", b"mine")
