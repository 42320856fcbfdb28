"""Databases for tests: a new one on each kind of server, with the tables of this app."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from django.apps import apps
from django.db import ConnectionHandler, connections

ALIAS = "files"
"""The alias of the database under test."""
POSTGRESQL = {"host": "127.0.0.1", "port": 5432, "user": "postgres"}
MARIADB = {"host": "127.0.0.1", "port": 3306, "user": "root", "password": ""}
KINDS = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.service),
    pytest.param("mariadb", marks=pytest.mark.service),
    pytest.param("mariadb-repeatable-read", marks=pytest.mark.service),
]
SERVERS = KINDS[1:]
"""Those whose transactions really run side by side."""

pymysql.install_as_MySQLdb()


@contextmanager
def made(kind: str, directory: Path) -> Iterator[str]:
    """Make a database with the tables of this app, and yield the alias under which it is configured."""
    name = f"consistent_s3_{uuid.uuid4().hex[:16]}"
    make = {"sqlite": _sqlite, "postgresql": _postgresql}.get(kind, _mariadb)
    with make(kind, name, directory) as database:
        connections.settings[ALIAS] = ConnectionHandler({"default": database}).settings["default"]
        try:
            with connections[ALIAS].schema_editor() as editor:
                for model in apps.get_app_config("consistent_s3").get_models():
                    if not model._meta.proxy:
                        editor.create_model(model)
            yield ALIAS
        finally:
            connections[ALIAS].close()
            del connections[ALIAS], connections.settings[ALIAS]


def in_a_thread(work: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Return a function that works on a connection of its own and closes it."""

    def closing() -> Any:
        try:
            return work(*arguments)
        finally:
            connections[ALIAS].close()

    return closing


@contextmanager
def _sqlite(kind: str, name: str, directory: Path) -> Iterator[dict[str, Any]]:
    options = {"timeout": 60, "init_command": "PRAGMA synchronous = OFF"}
    yield {"ENGINE": "django.db.backends.sqlite3", "NAME": str(directory / name), "OPTIONS": options}


@contextmanager
def _postgresql(kind: str, name: str, directory: Path) -> Iterator[dict[str, Any]]:
    try:
        server = psycopg.connect(**POSTGRESQL, dbname="postgres", autocommit=True, connect_timeout=60)
    except psycopg.OperationalError as error:
        pytest.skip(f"No PostgreSQL at 127.0.0.1:5432 for user postgres: {error}")
    with server:
        server.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        try:
            yield _database("postgresql", name, POSTGRESQL)
        finally:
            server.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(psycopg.sql.Identifier(name)))


@contextmanager
def _mariadb(kind: str, name: str, directory: Path) -> Iterator[dict[str, Any]]:
    try:
        server = pymysql.connect(**MARIADB, connect_timeout=60)
    except pymysql.MySQLError as error:
        pytest.skip(f"No MariaDB at 127.0.0.1:3306 for user root: {error}")
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        try:
            isolation = "repeatable read" if kind.endswith("repeatable-read") else "read committed"
            yield _database("mysql", name, MARIADB) | {"OPTIONS": {"isolation_level": isolation}}
        finally:
            cursor.execute(f"DROP DATABASE `{name}`")


def _database(engine: str, name: str, server: dict[str, Any]) -> dict[str, Any]:
    return {
        "ENGINE": f"django.db.backends.{engine}",
        "NAME": name,
        "USER": server["user"],
        "PASSWORD": server.get("password", ""),
        "HOST": server["host"],
        "PORT": server["port"],
    }


def connect(vendor: str) -> Any:
    """Return a connection to the server beside Django's."""
    if vendor == "postgresql":
        return psycopg.connect(**POSTGRESQL, dbname="postgres", autocommit=True)
    return pymysql.connect(**MARIADB)
