"""A browser that goes through pages: real headless Chromium, logged in, under a strict Content-Security-Policy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client

from tests.showroom.pages import Page

CHROMIUM = shutil.which("chromium")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WIDE, NARROW = 1280, 390


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How pages are looked at."""

    name: str
    dark: bool = False
    width: int = WIDE
    language: str = "en"


LOOKS = [
    Look(name="light"),
    Look(name="dark", dark=True),
    Look(name="narrow", width=NARROW),
    Look(name="right-to-left", language="ar"),
]


@contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium for the block. Raises playwright's errors if it does not start."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS, timeout=120_000)
        yield started
        started.close()


@dataclass(slots=True, kw_only=True)
class Visitor:
    """Somebody who is logged in and looks at pages, one after the other."""

    page: Any
    site: str
    complaints: list[str]
    """What the browser said was wrong, with the page that it was at."""
    paths: set[str] = field(default_factory=set)
    """Where it was, before and after what was done there."""

    def visit(self, wanted: Page) -> Any:
        """Open a page, do what is to be done there, and return the browser's page."""
        answer = self.page.goto(self.site + wanted.address, wait_until="load")
        if answer.status != 200:
            self.complaints.append(f"{wanted.name}: {wanted.address} answered {answer.status}")
        self._note()
        wanted.then(self.page)
        self._note()
        return self.page

    def _note(self) -> None:
        self.paths.add(urlsplit(self.page.url).path)


@contextmanager
def visitor(browser: Any, site: str, user: Any, look: Look) -> Iterator[Visitor]:
    """Log somebody in, in a look."""
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context = browser.new_context(
        viewport={"width": look.width, "height": 800},
        color_scheme="dark" if look.dark else "light",
        locale=look.language,
    )
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": site}])
    context.set_default_timeout(60_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{page.url}: {message.text}") if _is_wrong(message) else None)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    yield Visitor(page=page, site=site, complaints=complaints)
    context.close()


def _is_wrong(message: Any) -> bool:
    return message.type == "error" and "favicon.ico" not in message.location.get("url", "")
