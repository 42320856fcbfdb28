"""The admin as a person sees it: real headless Chromium, a strict Content-Security-Policy, light, dark and narrow.

With `CONSISTENT_S3_SCREENSHOTS=directory` each page is kept as a picture, to be looked at.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.urls import reverse
from PIL import Image

from consistent_s3 import collection, runs
from consistent_s3.models import CollectionRun, CollectionSlice, StoredVersion
from consistent_s3.runs import Order
from tests.archive.models import Contract

CHROMIUM = shutil.which("chromium")
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.django_db(transaction=True),
]


class StrictPolicy:
    """Middleware that forbids everything inline and foreign."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright keeps an event loop in this thread
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options, timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, live_server, settings, admin_user, default_storage) -> Iterator[Any]:
    """Return a function that opens a logged-in page; anything the browser complains of fails the test."""
    settings.MIDDLEWARE = ["tests.test_browser.StrictPolicy", *settings.MIDDLEWARE]
    complaints: list[str] = []

    def open_page(path: str, *, dark: bool = False, width: int = 1280, scripts: bool = True) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            locale="en-GB",
            java_script_enabled=scripts,
        )
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{live_server.url}{reverse('admin:login')}?next={path}")
        page.fill("[name=username]", "admin")
        page.fill("[name=password]", "password")
        with page.expect_navigation(url=f"**{path}", wait_until="load"):
            page.click("[type=submit]")
        return page

    yield open_page
    assert complaints == []


def is_complaint(message: Any) -> bool:
    return message.type == "error" and "favicon.ico" not in message.location.get("url", "")


def follow(page: Any, link: str) -> None:
    """Click the link and wait for the page behind it: a click alone returns before the browser has left."""
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("link", name=link).click()


def keep(page: Any, name: str) -> None:
    directory = os.environ.get("CONSISTENT_S3_SCREENSHOTS")
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{directory}/{name}.png", full_page=True)


@pytest.fixture
def contract(default_storage: Any) -> Contract:
    contract = Contract(title="Lease of the north wing")
    contract.file.save("lease.txt", ContentFile(b"Rent: 900\n"), author="ann", comment="Signed by both parties")
    contract.file.save(
        "lease-corrected.txt", ContentFile(b"Rent: 950\n" * 200), author="bob", comment="Corrected the rent"
    )
    contract.file.save("lease-2027.txt", ContentFile(b"Rent: 990\n" * 400), author="ann", comment="")
    return contract


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_clerk_replaces_a_file_finds_its_history_and_brings_yesterdays_back(open_page, contract, tmp_path, scripts):
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("Not a lease at all\n")
    page = open_page(reverse("admin:archive_contract_change", args=[contract.pk]), scripts=scripts)

    page.set_input_files("input[type=file]", str(wrong))
    page.get_by_label("What changed?").fill("New terms")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Save and continue editing").click()
    follow(page, "Versions of File")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("row", name="lease-2027.txt").get_by_role("link", name="Restore version 3").click()
    page.get_by_label("Comment").fill("That was the wrong file")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Restore this version").click()

    assert "Restored version 3 of “contracts/lease.txt” as version 5." in page.inner_text("main, #main")
    contract.refresh_from_db()
    assert contract.file.read() == b"Rent: 990\n" * 400
    assert [version.comment for version in contract.file.history()][:2] == ["That was the wrong file", "New terms"]
    keep(page, "history")


@pytest.mark.parametrize(
    ("look", "options"),
    [("light", {}), ("dark", {"dark": True}), ("narrow", {"width": 400})],
    ids=["light", "dark", "narrow"],
)
def test_pages_fit_the_admin_in_every_look(open_page, contract, look, options):
    page = open_page(reverse("admin:archive_contract_change", args=[contract.pk]), **options)
    keep(page, f"change-{look}")

    follow(page, "Versions of File")
    keep(page, f"versions-{look}")
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    follow(page, "Restore version 1")
    keep(page, f"restore-{look}")

    assert not wide, "the page itself must not scroll sideways; its table may"


def test_a_download_keeps_its_original_name(open_page, contract):
    page = open_page(reverse("admin:archive_contract_versions", args=[contract.pk, "file"]))

    with page.expect_download() as started:
        page.get_by_role("link", name="Download version 2").click()

    assert started.value.suggested_filename == "lease-corrected.txt"
    assert Path(started.value.path()).read_bytes() == b"Rent: 950\n" * 200


# Collections


@pytest.fixture
def collections(default_storage: Any, settings: Any) -> Any:
    """Return a storage with much to collect, a finished plan of it, and a run that stands in the middle."""
    options = {**settings.STORAGES["default"]["OPTIONS"], "index": "database"}
    options["retention"] = {"keep_last": 3, "keep_for": timedelta(days=30)}
    backend = settings.STORAGES["default"]["BACKEND"]
    archive = {"BACKEND": backend, "OPTIONS": {**options, "location": "archive", "retention": {"keep_last": 1}}}
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": backend, "OPTIONS": {**options, "location": "files"}},
        "archive": archive,
    }
    for title in ("price-list", "terms", "floor-plan"):
        for number in range(8):
            storages["archive"].save(f"documents/{title}.pdf", ContentFile(b"x" * 12_345 * (number + 1)))
    storages["archive"].delete("documents/terms.pdf")
    StoredVersion.objects.update(modified=datetime.now(UTC) - timedelta(days=90))
    collection.collect_garbage("archive", order=Order(dry_run=True, started_by="ann"))
    plan = CollectionRun.objects.get()
    error = {"key": "archive/documents/lease.pdf.-v/9999.pdf", "code": "AccessDenied", "message": "Access Denied"}
    hour = timedelta(hours=1)
    done = {**plan.summary, "dry_run": False, "scanned": 1_204_331, "kept": 1_171_220, "deleted": 33_111}
    CollectionRun.objects.create(
        storage="default",
        place=plan.place,
        state=CollectionRun.State.DONE,
        started_by="Celery",
        started=datetime.now(UTC) - 20 * hour,
        swept_from=datetime.now(UTC) - 20 * hour,
        finished=datetime.now(UTC) - 19.4 * hour,
        summary={**done, "bytes_freed": 8 * 1024**3, "errors": [error], "error_count": 1},
    )
    run = CollectionRun.objects.create(
        storage="default",
        place=plan.place,
        state=CollectionRun.State.SWEEPING,
        started_by="Celery",
        started=datetime.now(UTC) - hour,
        swept_from=datetime.now(UTC) - hour / 2,
        planned={"scanned": 1_200_000},
        policy={"keep_last": 3, "keep_for": "30 days, 0:00:00"},
    )
    counted = {"scanned": 410_000, "kept": 398_877, "deleted": 11_123, "bytes_freed": 3 * 1024**3}
    counted["reasons"] = {"current": 50_000, "keep_last": 348_877, "superseded, and no rule keeps it": 11_123}
    CollectionSlice.objects.create(
        run=run, sweeps=True, counted=counted, owner="x", leased_until=datetime.now(UTC) + hour
    )
    return plan, run


def run_url(page: str, *args: Any) -> str:
    return reverse(f"admin:consistent_s3_collectionrun_{page}", args=args)


LOOKS = pytest.mark.parametrize(
    ("look", "options"),
    [("light", {}), ("dark", {"dark": True}), ("narrow", {"width": 400})],
    ids=["light", "dark", "narrow"],
)


@LOOKS
def test_pages_of_collections_fit_the_admin_in_every_look(open_page, collections, look, options):
    plan, run = collections
    page = open_page(run_url("changelist"), **options)
    pages = {
        "list": run_url("changelist"),
        "run": run_url("change", run.pk),
        "plan": run_url("change", plan.pk),
        "objects": run_url("objects", plan.pk),
        "approve": run_url("approve", plan.pk),
        "stop": run_url("stop", run.pk),
        "start": run_url("start"),
        "totals": f"{run_url('totals')}?storage=archive",
    }
    base = page.url.partition("/admin/")[0]

    wide = set()
    for name, address in pages.items():
        page.goto(base + address, wait_until="load")
        keep(page, f"collection-{name}-{look}")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.add(name)

    assert wide - {"list"} == set(), "a page must not scroll sideways; its tables may, and so does Django's own list"


def test_a_plan_is_looked_at_and_run_for_real_with_the_keyboard(open_page, collections):
    plan, _ = collections
    page = open_page(run_url("change", plan.pk))

    follow(page, "Browse what would go")
    page.get_by_label("Name contains").fill("price")
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")
    rows = page.locator("#content-main tbody tr").count()
    with page.expect_navigation(wait_until="load"):
        page.go_back()
    with page.expect_navigation(wait_until="load"):
        page.go_back()
    page.get_by_role("link", name="Run this for real").focus()
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete them for good").focus()
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")

    began = CollectionRun.objects.first()
    assert rows == 7
    assert (began.approves, began.started_by) == (plan, "admin")
    assert f"collect --run {began.pk}" in page.inner_text("main, #main")


def test_figures_follow_a_run_and_the_page_its_end(open_page, collections):
    _, run = collections
    page = open_page(run_url("change", run.pk))
    state = page.locator("[data-progress=sentence]")
    assert (state.inner_text(), state.get_attribute("aria-live")) == ("sweeping, 30 % done", "polite")

    run.slices.update(counted={"scanned": 610_000, "deleted": 22_222})
    page.locator("[data-progress=scanned]", has_text="610,000").wait_for()
    assert page.locator("[data-progress=sentence]").inner_text() == "sweeping, 50 % done"
    with page.expect_navigation(wait_until="load"):
        runs.end(run, CollectionRun.State.DONE)

    assert page.locator("[data-progress=sentence]").inner_text() == "done"
    assert page.locator("[data-progress=deleted]").inner_text() == "22,222"
    assert page.get_by_role("link", name="Stop").count() == 0


def picture(colour: str, size: tuple[int, int]) -> bytes:
    written = io.BytesIO()
    image = Image.new("RGB", size, "white")
    image.paste(colour, (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4))
    image.save(written, "PNG")
    return written.getvalue()


LEASE = """Lease of the north wing

Between the owner and the tenant it is agreed:
The rent is 900 a month, due on the first.
The term is two years.
Pets need the owner's consent.
The garden is shared.
Heating is paid by the tenant.
The cellar belongs to the wing.
Signed by both.
"""
LOOKS = pytest.mark.parametrize(
    ("look", "options"),
    [("light", {}), ("dark", {"dark": True}), ("narrow", {"width": 400})],
    ids=["light", "dark", "narrow"],
)


def is_wide(page: Any) -> bool:
    """Return whether the page itself scrolls sideways; its tables may."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@LOOKS
def test_two_texts_are_chosen_and_compared(open_page, default_storage, look, options):
    contract = Contract(title="Lease of the north wing")
    contract.file.save("lease.txt", ContentFile(LEASE.encode()), author="ann", comment="Signed by both parties")
    contract.file.save("lease.txt", ContentFile(b"Nothing of this kind\n"), author="bob", comment="Wrong file")
    changed = LEASE.replace("900", "950").replace("Signed", "Pets stay.\nSigned").replace("The garden is shared.\n", "")
    contract.file.save("lease-2027.txt", ContentFile(changed.encode()), author="ann", comment="New rent")
    page = open_page(reverse("admin:archive_contract_versions", args=[contract.pk, "file"]), **options)

    page.get_by_label("Compare from version 1").check()
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Compare the chosen versions").click()

    assert page.locator("del").all_inner_texts() == ["900", "The garden is shared."]
    assert page.locator("ins").all_inner_texts() == ["950", "Pets stay."]
    keep(page, f"compare-text-{look}")
    assert not is_wide(page)


@LOOKS
def test_two_pictures_are_laid_over_each_other(open_page, default_storage, look, options):
    contract = Contract(title="Plan of the garden")
    contract.file.save("plan.png", ContentFile(picture("navy", (480, 300))), author="ann", comment="First draft")
    contract.file.save("plan.png", ContentFile(picture("crimson", (480, 300))), author="bob", comment="In red")
    page = open_page(reverse("admin:archive_contract_versions_compare", args=[contract.pk, "file"]), **options)
    slider = page.get_by_label("How much of the newer picture is shown")

    slider.focus()
    slider.press("End")
    shown = page.locator(".consistent-s3-overlay").evaluate("one => one.style.getPropertyValue('--shown')")
    slider.press("Home")
    hidden = page.locator(".consistent-s3-overlay").evaluate("one => one.style.getPropertyValue('--shown')")
    slider.fill("40")

    assert (shown, hidden) == ("100%", "0%")
    assert page.locator("img").evaluate_all("all => all.every(one => one.naturalWidth === 480)")
    keep(page, f"compare-pictures-{look}")
    assert not is_wide(page)


@LOOKS
def test_a_version_is_held_and_everything_else_is_erased(open_page, contract, default_storage, look, options):
    page = open_page(reverse("admin:archive_contract_versions", args=[contract.pk, "file"]), **options)

    follow(page, "Hold version 1")
    page.get_by_label("Reason").fill("Lawsuit about the first rent")
    keep(page, f"hold-{look}")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Hold").click()
    keep(page, f"held-{look}")
    assert not is_wide(page)
    follow(page, "Erase everything…")
    page.get_by_label("Name of the file").fill("contracts/lease.txt")
    keep(page, f"erase-{look}")
    assert not is_wide(page)
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Erase for good").click()

    assert "Kept, since held: version 1 (Lawsuit about the first rent)." in page.inner_text("body")
    assert [version.number for version in default_storage.history("contracts/lease.txt")] == [4, 1]
    keep(page, f"erased-{look}")
    follow(page, "Release…")
    page.get_by_label("Reason").fill("Settled")
    keep(page, f"release-{look}")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Release the hold").click()
    assert default_storage.holds("contracts/lease.txt") == []


def test_versions_are_found_and_one_is_copied_by_keyboard(open_page, contract, default_storage):
    page = open_page(reverse("admin:archive_contract_versions", args=[contract.pk, "file"]))

    page.get_by_label("Comment contains").fill("signed")
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")
    keep(page, "found")
    follow(page, "Restore version 1")
    follow(page, "Restore as a copy under another name…")
    page.get_by_label("Name of the copy").fill("lease-signed.txt")
    keep(page, "copy")
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")

    assert "Copied version 1 of “contracts/lease.txt” to “contracts/lease-signed.txt”." in page.inner_text("body")
    assert default_storage.open("contracts/lease-signed.txt").read() == b"Rent: 900\n"
