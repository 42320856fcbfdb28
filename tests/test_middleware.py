"""Whatever a request writes is its user's, and a request that writes nothing asks for no user."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.files.base import ContentFile
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from consistent_s3 import attribution
from consistent_s3.middleware import attribute
from consistent_s3.storage import ConsistentS3Storage


class Asked:
    """A user who must not be asked for."""

    def get_username(self) -> str:
        raise AssertionError("asked for")


def request(user: Any = None) -> HttpRequest:
    made = RequestFactory().get("/")
    if user is not None:
        made.user = user
    return made


@pytest.mark.parametrize(("user", "author"), [(User(username="ann"), "ann"), (AnonymousUser(), ""), (None, "")])
def test_what_a_request_writes_is_its_users(storage: ConsistentS3Storage, user: Any, author: str) -> None:
    def view(_: HttpRequest) -> HttpResponse:
        with attribution(comment="new prices"):
            storage.save("a.txt", ContentFile(b"one"))
        return HttpResponse(status=204)

    assert attribute(view)(request(user)).status_code == 204
    storage.save("a.txt", ContentFile(b"after"))

    written = [(version.author, version.comment) for version in storage.history("a.txt")]
    assert written == [("", ""), (author, "new prices")]


def test_an_async_request_too(storage: ConsistentS3Storage) -> None:
    async def view(_: HttpRequest) -> HttpResponse:
        await asyncio.to_thread(storage.save, "a.txt", ContentFile(b"one"))
        return HttpResponse()

    asyncio.run(attribute(view)(request(User(username="ann"))))

    assert storage.version("a.txt").author == "ann"


def test_a_request_that_writes_nothing_asks_for_no_user() -> None:
    assert attribute(lambda _: HttpResponse(b"read"))(request(Asked())).content == b"read"


def test_the_code_itself_counts_before_the_user(storage: ConsistentS3Storage) -> None:
    def view(_: HttpRequest) -> HttpResponse:
        storage.write("a.txt", ContentFile(b"one"), author="import")
        return HttpResponse()

    attribute(view)(request(Asked()))

    assert storage.version("a.txt").author == "import"
