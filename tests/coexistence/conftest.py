"""These tests need a project of its own, so they run in a process of its own: see `tests/test_coexistence.py`."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

collect_ignore_glob = [] if "coexistence" in os.environ.get("DJANGO_SETTINGS_MODULE", "") else ["test_*.py"]


class Office:
    """A clerk in the admin, who uploads and who looks."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def address(self, model: Any, page: str, *args: Any) -> str:
        return reverse(f"admin:office_{model._meta.model_name}_{page}", args=args)

    def look(self, model: Any, page: str, *args: Any) -> str:
        """Return a page's text. Raises `AssertionError` where there is none."""
        answer = self.client.get(self.address(model, page, *args))
        assert answer.status_code == 200, answer
        return answer.content.decode()

    def post(self, address: str, **data: Any) -> None:
        """Send a form. Raises `AssertionError` if it comes back."""
        answer = self.client.post(address, data)
        assert answer.status_code == 302, answer.content.decode()

    def add(self, model: Any, body: str) -> Any:
        """Add a row with a file and return it."""
        upload = SimpleUploadedFile("lease.txt", body.encode())
        self.post(self.address(model, "add"), title="Lease", file=upload)
        return model.objects.latest("pk")

    def replace(self, row: Any, body: str) -> None:
        """Upload another file to a row, as its page has it."""
        upload = SimpleUploadedFile("lease-corrected.txt", body.encode())
        self.send(self.address(type(row), "change", row.pk), file=upload)
        row.refresh_from_db()

    def send(self, address: str, **changes: Any) -> None:
        """Open a row's form and send what it holds, hidden inputs included, with some changes."""
        page = self.client.get(address)
        assert page.status_code == 200, page
        form = page.context["adminform"].form
        data = {form.add_prefix(name): form.get_initial_for_field(field, name) for name, field in form.fields.items()}
        data = {name: value for name, value in data.items() if name != "file" and value is not None}
        self.post(address, **{**data, **hidden_inputs(page.content.decode()), **changes})


def hidden_inputs(page: str) -> dict[str, str]:
    """Return the hidden inputs of a page's main form, as a browser would send them."""
    from html.parser import HTMLParser

    found: dict[str, str] = {}

    class Inputs(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            said = dict(attrs)
            if tag == "input" and said.get("type") == "hidden" and str(said.get("name")).startswith("file"):
                found[str(said["name"])] = said.get("value") or ""

    Inputs().feed(page)
    return found


@pytest.fixture
def storage_options(storage_options: dict[str, Any]) -> dict[str, Any]:
    """Return options with the index that a project gets."""
    return {**storage_options, "index": "database"}


@pytest.fixture
def office(admin_client: Client, default_storage: Any) -> Office:
    return Office(admin_client)


def body(file: Any) -> str:
    """Return what is read from a row's file."""
    with file.open() as opened:
        return opened.read().decode()
