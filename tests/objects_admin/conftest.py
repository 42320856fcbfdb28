"""A project whose default storage keeps rows, and people with single rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse

from consistent_s3.models import StoredObject
from consistent_s3.storage import ConsistentS3Storage

BACKEND = "consistent_s3.storage.ConsistentS3Storage"


@pytest.fixture
def configure(settings: Any, storage_options: dict[str, Any]) -> Callable[..., ConsistentS3Storage]:
    """Return a function that makes Django's default storage one with rows and options to add."""
    from django.core.files.storage import storages

    def configure(alias: str = "default", **more: Any) -> ConsistentS3Storage:
        options = {**storage_options, "index": "database", **more}
        settings.STORAGES = {**settings.STORAGES, alias: {"BACKEND": BACKEND, "OPTIONS": options}}
        return storages[alias]  # type: ignore[return-value]

    return configure


@pytest.fixture
def storage(configure: Callable[..., ConsistentS3Storage]) -> ConsistentS3Storage:
    return configure()


def save(storage: ConsistentS3Storage, name: str, *bodies: bytes, author: str = "ann", comment: str = "") -> None:
    for body in bodies or (b"x",):
        storage.write(name, ContentFile(body), author=author, comment=comment)


def row(name: str) -> StoredObject:
    return StoredObject.objects.get(name=name)


def url(page: str, *args: Any, model: str = "storedobject") -> str:
    return reverse(f"admin:consistent_s3_{model}_{page}", args=args)


def clerk(*rights: str, is_staff: bool = True) -> Client:
    """Return a browser in which somebody with some rights is logged in."""
    user, _made = User.objects.get_or_create(username="clerk", defaults={"is_staff": is_staff})
    user.user_permissions.set(Permission.objects.filter(codename__in=rights, content_type__app_label="consistent_s3"))
    assert user.user_permissions.count() == len(rights)
    client = Client()
    client.force_login(user)
    return client


def said(answer: Any) -> list[str]:
    """Return the messages on a page."""
    return [str(message) for message in answer.context["messages"]]


def token(name: str) -> str:
    """Return what a page sends of an object whose newest version its user saw."""
    found = row(name)
    return f"{found.pk}-{found.newest}"
