"""Every page of ours, in every look: axe-core finds nothing, and nothing hangs over the edge.

What Django's own admin does on pages of its own is listed, once, with the reason; an entry that no page of Django's
needs any more is a failure.

With `CONSISTENT_S3_SCREENSHOTS=directory` each page is kept as a picture; see `tests/screenshots/take.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from consistent_s3.errors import UnreachableError
from consistent_s3.storage import ConsistentS3Storage
from tests.showroom import stock, streams
from tests.showroom.pages import Page, pages, uncovered
from tests.showroom.visiting import CHROMIUM, LOOKS, Look, browser, visitor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.django_db(transaction=True),
]

ASKED = {"resultTypes": ["violations"], "preload": False}
"""What axe is asked: preloading, it asks for what Django 5.2's style sheets import as if the page had."""
DIRECTORY = os.environ.get("CONSISTENT_S3_SCREENSHOTS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A violation that Django's own pages have."""

    rule: str
    target: str
    """What the selector that axe gives is like, as a regular expression."""
    reason: str
    before: tuple[int, int] = (99, 0)
    """The first Django that has it no more."""


ALL: Sequence[Known] = (
    Known(rule="empty-table-header", target=r"thead > tr > \.original", reason="the first column of tabular inlines"),
    Known(rule="label", target=r"#id_\w+_set-\d+-DELETE", reason="the column's heading is all that names it"),
    Known(rule="label", target=r"#id_\w+_set-\d+-file", reason="likewise, of an inline that is not ours"),
    Known(rule="label-title-only", target="#searchbar", reason="a list's search is labelled with a picture"),
    Known(
        rule="link-in-text-block",
        target=r"\.breadcrumbs > a.*",
        reason="the way back is not underlined on pages of Django's",
        before=(6, 0),
    ),
)
KNOWN = [one for one in ALL if one.before > django.VERSION]


@pytest.fixture
def room(settings: Any, storage_options: dict[str, Any]) -> stock.Showroom:
    """Return a showroom whose default storage has the database index."""
    options = {**storage_options, "index": "database", "location": "files", "retention": stock.RETENTION}
    backend = {"BACKEND": "consistent_s3.storage.ConsistentS3Storage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    settings.ROOT_URLCONF = "tests.showroom.urls"
    settings.MIDDLEWARE = ["tests.test_browser.StrictPolicy", *settings.MIDDLEWARE]
    settings.CONSISTENT_S3_STREAMS = streams.SETTING
    room = stock.fill()
    stock.collections(room)
    streams.fill()
    return room


def violations(page: Any) -> list[tuple[str, str, str]]:
    """Return what axe finds: the rule, the selector of the element, and what is wrong."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=ASKED).response["violations"]
    return [
        (violation["id"], " ".join(map(str, node["target"])), node["failureSummary"])
        for violation in found
        for node in violation["nodes"]
    ]


def known(rule: str, target: str) -> Known | None:
    return next((one for one in KNOWN if one.rule == rule and re.fullmatch(one.target, target)), None)


def hangs_over(page: Any) -> bool:
    """Return whether the page itself scrolls sideways; its tables may."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def keep(page: Any, look: Look, name: str) -> None:
    if DIRECTORY:
        page.wait_for_function("[...document.images].every(image => image.complete)")
        Path(DIRECTORY, look.name).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{DIRECTORY}/{look.name}/{name}.png", full_page=True)


def user() -> User:
    return User.objects.get(username=stock.MARTA)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_every_page_can_be_used_by_everybody(room, live_server, settings, monkeypatch, look):
    settings.LANGUAGE_CODE = look.language
    shown = list(pages(room))
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright keeps an event loop in this thread
    wrong: list[str] = []

    with browser() as started, visitor(started, live_server.url, user(), look) as visiting:
        for wanted in shown:
            page = visiting.visit(wanted)
            keep(page, look, wanted.name)
            wrong += [
                f"{wanted.name}: {rule} at {target}\n{summary}"
                for rule, target, summary in violations(page)
                if not known(rule, target)
            ]
            if hangs_over(page):
                wrong.append(f"{wanted.name}: hangs over the edge")

    assert not wrong, "\n".join(wrong)
    assert visiting.complaints == []
    assert uncovered(visiting.paths) == set()


def test_what_is_known_of_djangos_own_pages_is_still_so(room, live_server, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    handbook = room.rows["Handbook"].pk
    own = [
        Page(name="list", address=reverse("stock:archive_document_changelist")),
        Page(name="add", address=reverse("stock:archive_document_add")),
        Page(name="form", address=reverse("stock:archive_document_change", args=[handbook])),
        Page(name="record", address=reverse("stock:archive_document_history", args=[handbook])),
        Page(name="deletion", address=reverse("stock:archive_document_delete", args=[handbook])),
    ]

    with browser() as started, visitor(started, live_server.url, user(), LOOKS[0]) as visiting:
        found = [violation for wanted in own for violation in violations(visiting.visit(wanted))]

    assert {known(rule, target) for rule, target, _ in found} - {None} == set(KNOWN)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_a_page_of_a_store_that_does_not_answer(room, live_server, settings, monkeypatch, look):
    settings.LANGUAGE_CODE = look.language
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    monkeypatch.setattr(ConsistentS3Storage, "version", unreachable)
    address = reverse("admin:archive_contract_version_restore", args=[room.rows["Price list"].pk, "file", 2])

    with browser() as started, visitor(started, live_server.url, user(), look) as visiting:
        page = visiting.visit(Page(name="no answer", address=address))
        keep(page, look, "no-answer")
        wrong = violations(page)

        assert page.get_by_role("alert").inner_text() == "The bucket cannot be reached."
        assert not hangs_over(page)

    assert [one for one in wrong if not known(*one[:2])] == []
    assert len(visiting.complaints) == 2  # the status, by the browser and by us
    assert all("503" in complaint for complaint in visiting.complaints)


def unreachable(*_: Any, **__: Any) -> None:
    raise UnreachableError("The bucket cannot be reached.")
