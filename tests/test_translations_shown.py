"""Every page of ours, in every language: none of our own English is left on it.

1. A language comes with each request, as of `LocaleMiddleware`, in one process: what was translated too early is found.
2. A text of ours that reads otherwise in the language is not to be on a page, neither as a whole nor in a sentence.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.translation import to_language

from tests.catalogues import LANGUAGES, translations
from tests.showroom import stock, streams
from tests.showroom.pages import pages, stored
from tests.test_admin import url
from tests.test_admin_history import contract_of

pytestmark = pytest.mark.django_db

READ_OUT = {"alt", "aria-label", "data-consistent-s3-slider", "data-label", "placeholder", "title"}
NOT_READ = {"script", "style", "code", "pre"}
WORDS_OF_A_SENTENCE = 3
"""From how many words on a text is looked for inside of others, too."""
ELSEWHERE = {
    "Title",  # a field of the models that are shown, which the project would translate
    "File",  # likewise
    "Search",  # Django's lists say it in English in places
    "Filter",  # Django's own word in German
}
"""Texts of ours that others show in English, too."""
CHOSEN = (
    "undelete_chosen",
    "delete_chosen",
    "hold_chosen",
    "release_chosen",
    "restore_chosen_as_of",
)


class Read(HTMLParser):
    """What people see of a page, and hear."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.parts += [given[name] or "" for name in READ_OUT & set(given)]
        if tag == "input" and given.get("type") in {"submit", "button"}:
            self.parts.append(given.get("value") or "")
        if tag in NOT_READ:
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in NOT_READ:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.parts.append(data)


def english_of_ours(page: str, language: str) -> list[str]:
    """Return the texts of ours that a page shows in English although they read otherwise in its language."""
    reader = Read()
    reader.feed(page)
    parts = {" ".join(part.split()) for part in reader.parts}
    whole = " ".join(" ".join(part.split()) for part in reader.parts)
    return [text for text, fragment, wanted in _ours(language) if fragment in whole and _shows(wanted, parts, whole)]


def _shows(wanted: re.Pattern[str], parts: set[str], whole: str) -> bool:
    if wanted.flags & re.DOTALL:
        return wanted.search(whole) is not None
    return any(wanted.fullmatch(part) for part in parts)


@cache
def _ours(language: str) -> list[tuple[str, str, re.Pattern[str]]]:
    """Return our texts that read otherwise in a language: each with its longest part, and what it looks like."""
    texts = []
    for text, said in translations(language).items():
        for english, other in ((text.singular, said[0]), (text.plural, said[-1])):
            plain = re.sub(r"<[^>]*>", "", english).replace("%%", "%").strip()
            pieces = re.split(r"(%\(\w+\)[ds]|%s)", plain)
            longest = max(pieces[::2], key=len).strip()
            if english in {other, *ELSEWHERE} or not re.search(r"[a-z]{2}", longest):
                continue
            pattern = "".join(_anything(piece) if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces))
            sentence = len(plain.split()) >= WORDS_OF_A_SENTENCE and len(longest.split()) > 1
            texts.append((english, longest, _pattern(pattern, sentence=sentence)))
    return texts


def _anything(placeholder: str) -> str:
    return r"\d[\d.,\u202f\xa0]*" if placeholder.endswith("d") else r"\S.{0,150}?"


def _pattern(pattern: str, *, sentence: bool) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){pattern}(?!\w)", re.DOTALL) if sentence else re.compile(rf"{pattern}:?")


# Pages


@pytest.fixture
def room(settings: Any, storage_options: dict[str, Any]) -> stock.Showroom:
    """Return a showroom whose default storage has the database index, and whose site asks browsers for the language."""
    options = {**storage_options, "index": "database", "location": "files", "retention": stock.RETENTION}
    backend = {"BACKEND": "consistent_s3.storage.ConsistentS3Storage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    settings.CONSISTENT_S3_STREAMS = streams.SETTING
    room = stock.fill()
    stock.collections(room)
    streams.fill()
    return room


@pytest.fixture
def client() -> Client:
    """Return somebody who may do everything."""
    user = User.objects.create_superuser("clerk", "clerk@example.org", "x")
    client = Client()
    client.force_login(user)
    return client


def shown(client: Client, language: str, address: str, sent: dict[str, Any] | None = None) -> str:
    """Return a page in a language."""
    headers = {"accept-language": to_language(language)}
    if sent is None:
        answer = client.get(address, headers=headers)
    else:
        answer = client.post(address, sent, headers=headers, follow=True)
    assert answer.status_code == 200, address
    return answer.content.decode()


def visited(client: Client, language: str, room: stock.Showroom) -> Iterator[tuple[str, str]]:
    """Yield every page that can be looked at without sending anything, and what lists ask before they act."""
    for page in pages(room):
        yield page.name, shown(client, language, page.address)
    objects = stored("storedobject", "changelist")
    for action in CHOSEN:
        chosen = {"action": action, "select_across": "1", "_selected_action": "1", "index": "0"}
        yield action, shown(client, language, objects, chosen)


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_shows_english_of_ours(room, client, language):
    found = {name: left for name, page in visited(client, language, room) if (left := english_of_ours(page, language))}

    assert found == {}


@pytest.mark.slow
def test_pages_in_english_are_seen_to_be_english(room, client):
    """Else the test above could pass without looking. What was done with a row is listed by Django alone."""
    seen = {
        name
        for name, page in visited(client, "en", room)
        if english_of_ours(page.partition('id="content-start"')[2], "de")
    }

    assert {page.name for page in pages(room)} - seen == {"object-record", "hold-record", "collection-record"}


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        pytest.param(
            "de", ["Versionen von „contracts/lease.txt“", "Die ausgewählten Versionen vergleichen"], id="German"
        ),
        pytest.param(
            "fr", ["Versions de «\xa0contracts/lease.txt\xa0»", "Comparer les versions choisies"], id="French"
        ),
        pytest.param("es", ["Versiones de «contracts/lease.txt»", "Comparar las versiones elegidas"], id="Spanish"),
        pytest.param("zh_Hans", ["“contracts/lease.txt”的版本", "比较所选版本"], id="Chinese"),
    ],
)
def test_a_history_is_in_the_language_of_the_browser(settings, default_storage, admin_client, language, sentences):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    contract = contract_of(("ann", "signed"), ("ben", "corrected"))

    page = html.unescape(shown(admin_client, language, url("versions", contract)))

    assert [sentence for sentence in sentences if sentence not in page] == []
    assert english_of_ours(page, language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_done_and_what_was_wrong_is_told_in_the_language_of_the_browser(
    settings, default_storage, admin_client, language
):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    contract = contract_of(("ann", "signed"), ("ben", "corrected"))

    restored = shown(admin_client, language, url("version_restore", contract, 1), {"expected": 2})
    refused = shown(admin_client, language, url("versions_erase", contract), {"name": "something else"})

    assert english_of_ours(restored, language) == []
    assert 'class="success"' in restored
    assert english_of_ours(refused, language) == []
    assert "errorlist" in refused
