"""Our pages in the theme of django-unfold, which has none of Django's styles; and in the stock admin, which has all."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.urls import reverse

from tests.coexistence.conftest import body
from tests.coexistence.office.models import Contract
from tests.showroom.pages import Page
from tests.showroom.visiting import CHROMIUM, LOOKS, browser, visitor

THEMED = apps.is_installed("unfold")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["versions", "versions_compare", "versions_hold", "versions_erase"])
def test_pages_bring_what_a_theme_took_away_and_nothing_otherwise(office, page):
    contract = office.add(Contract, "Rent: 900")
    office.replace(contract, "Rent: 950")

    shown = office.look(Contract, page, contract.pk, "file")

    assert ("consistent_s3/themes.css" in shown) is THEMED
    assert ('<h1 class="consistent-s3-title">' in shown) is THEMED


@pytest.mark.django_db
def test_the_form_brings_what_its_input_needs(office):
    contract = office.add(Contract, "Rent: 900")

    assert ("consistent_s3/themes.css" in office.look(Contract, "change", contract.pk)) is THEMED


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:Overriding get_action_choices")  # what newer Djangos deprecate of django-unfold
def test_a_file_without_an_input_leads_to_its_download(office, monkeypatch):
    contract = office.add(Contract, "Rent: 900")
    model_admin = admin.site.get_model_admin(Contract)
    monkeypatch.setattr(model_admin, "readonly_fields", ["file"])
    monkeypatch.setattr(model_admin, "list_display", ["title", "file"])
    link = f'<a href="{office.address(Contract, "file_download", contract.pk, "file")}">contracts/lease.txt</a>'

    assert link in office.look(Contract, "change", contract.pk)
    assert link in office.look(Contract, "changelist")


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["collectionrun_start", "recentchange_changelist", "deletedobject_changelist"])
def test_pages_of_all_files_bring_it_too(office, page):
    office.add(Contract, "Rent: 900")

    shown = office.client.get(reverse(f"admin:consistent_s3_{page}")).content.decode()

    assert ("consistent_s3/themes.css" in shown) is THEMED
    assert ('<h1 class="consistent-s3-title">' in shown) is THEMED


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:Overriding get_action_choices")  # what newer Djangos deprecate of django-unfold
def test_all_files_are_listed(office):
    office.add(Contract, "Rent: 900")

    assert (
        "contracts/lease.txt"
        in office.client.get(reverse("admin:consistent_s3_storedobject_changelist")).content.decode()
    )


@needs_chromium
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("look", LOOKS[:3], ids=lambda look: look.name)
def test_a_version_is_found_compared_and_restored(office, live_server, monkeypatch, look):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright keeps an event loop in this thread
    contract = office.add(Contract, "Rent: 900")
    office.replace(contract, "Rent: 950")
    found = []

    with browser() as started, visitor(started, live_server.url, User.objects.get(), look) as visiting:
        page = visiting.visit(Page(name="change", address=office.address(Contract, "change", contract.pk)))
        follow(page, "History of contracts/lease.txt")
        found += violations(page)
        with page.expect_navigation(wait_until="load"):
            page.get_by_role("button", name="Compare the chosen versions").click()
        found += violations(page)
        changed = page.locator("ins").all_inner_texts()
        follow(page, "Restore version 1")
        found += violations(page)
        page.get_by_label("Comment").fill("900 was right")
        button = page.get_by_role("button", name="Restore this version")
        looks = button.evaluate("one => getComputedStyle(one).backgroundColor !== 'rgba(0, 0, 0, 0)'")
        with page.expect_navigation(wait_until="load"):
            button.click()

    contract.refresh_from_db()
    assert changed == ["950"]
    assert body(contract.file) == "Rent: 900"
    assert looks, "a button must look like one"
    assert found == []
    assert visiting.complaints == []


def follow(page, link: str) -> None:
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("link", name=link).click()


def violations(page) -> list[tuple[str, str]]:
    """Return what axe finds in what is ours of a page."""
    found = Axe().run(page, context="#content-main").response["violations"]
    return [(violation["id"], str(node["target"])) for violation in found for node in violation["nodes"]]
