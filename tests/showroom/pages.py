"""Every page that we add to the admin: where it is, and what is done there before it is looked at.

A view of ours that no page here leads to is found by `uncovered`, so a new page cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.files.base import ContentFile
from django.urls import get_resolver, resolve, reverse
from django.urls.resolvers import URLPattern, URLResolver

from consistent_s3.models import StoredObject
from tests.showroom.stock import Showroom

NOT_PAGES = {
    "version_download": "sends a file",
    "file_download": "leads to the version that the row has",
    "version_preview": "sends a picture",
    "consistent_s3_storedobject_version_download": "sends a file",
    "consistent_s3_storedobject_file_download": "leads to the current version",
    "consistent_s3_storedobject_version_preview": "sends a picture",
    "consistent_s3_storedobject_export": "sends a file",
    "consistent_s3_deletedobject_export": "sends a file",
    "consistent_s3_recentchange_export": "sends a file",
    "consistent_s3_storedobject_add": "refuses everybody: objects come from saving files",
    "consistent_s3_storedobject_delete": "refuses everybody: deleting is an action that asks and can be undone",
    "consistent_s3_hold_add": "refuses everybody: holds are placed where files are",
    "consistent_s3_hold_delete": "refuses everybody: holds are released, and stay on record",
    "consistent_s3_collectionrun_progress": "answers JSON",
    "consistent_s3_collectionrun_add": "refuses everybody: runs are begun on a page of their own",
    "consistent_s3_collectionrun_delete": "refuses everybody: what happened stays on record",
}
"""Views of ours that show no page, and what they do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Something to look at."""

    name: str
    address: str
    then: Callable[[Any], None] = lambda page: None
    """What is done in the browser before it is looked at."""


def pages(room: Showroom) -> Iterator[Page]:
    """Yield all of them."""
    yield from change_pages(room)
    yield from history_pages(room)
    yield from compare_pages(room)
    yield from collection_pages(room)
    yield from site_wide_pages(room)
    yield from moment_pages()
    yield from stream_pages()


def change_pages(room: Showroom) -> Iterator[Page]:
    prices, handbook = room.rows["Price list"], room.rows["Handbook"]
    yield Page(name="changelist", address=reverse("admin:archive_contract_changelist"))
    yield Page(name="add", address=reverse("admin:archive_contract_add"))
    yield Page(name="change", address=reverse("admin:archive_contract_change", args=[prices.pk]))
    yield Page(name="change-inlines", address=reverse("admin:archive_document_change", args=[handbook.pk]))
    yield Page(name="delete", address=reverse("admin:archive_contract_delete", args=[prices.pk]))
    picture = room.rows["Picture"]
    yield Page(name="change-picture", address=reverse("admin:archive_picture_change", args=[picture.pk]))
    minutes = room.rows["Minutes"]
    replaced = partial(replace_meanwhile, minutes)
    yield Page(
        name="change-meanwhile", address=reverse("admin:archive_contract_change", args=[minutes.pk]), then=replaced
    )


def history_pages(room: Showroom) -> Iterator[Page]:
    prices, lease = room.rows["Price list"], room.rows["Lease of the north wing"]
    yield Page(name="history", address=of(prices, "versions"))
    yield Page(name="history-held", address=of(lease, "versions"))
    yield Page(name="history-found", address=of(prices, "versions") + "?words=easter")
    yield Page(name="history-nothing-found", address=of(prices, "versions") + "?words=nowhere")
    yield Page(name="history-long-name", address=of(room.rows["Minutes"], "versions"))
    yield Page(name="restore", address=of(prices, "version_restore", 2))
    yield Page(name="copy", address=of(prices, "version_copy", 2))
    yield Page(name="copy-refused", address=of(prices, "version_copy", 2), then=press("Write the copy", name="a/b"))
    yield Page(name="hold", address=of(prices, "version_hold", 2))
    yield Page(name="hold-all", address=of(prices, "versions_hold"))
    yield Page(name="delete-version", address=of(prices, "version_delete", 1))
    yield Page(name="release", address=of(lease, "versions_release", room.hold.pk))
    yield Page(name="erase", address=of(prices, "versions_erase"))
    yield Page(name="erase-refused", address=of(prices, "versions_erase"), then=press("Erase for good"))


def compare_pages(room: Showroom) -> Iterator[Page]:
    yield Page(
        name="compare-text", address=of(room.rows["Lease of the north wing"], "versions_compare") + "?old=1&new=3"
    )
    yield Page(name="compare-table", address=of(room.rows["Price list"], "versions_compare") + "?old=1&new=2")
    yield Page(name="compare-kinds", address=of(room.rows["Price list"], "versions_compare") + "?old=2&new=3")
    yield Page(name="compare-values", address=of(room.rows["Opening hours"], "versions_compare"))
    yield Page(name="compare-pictures", address=of(room.rows["Shop sign"], "versions_compare"))
    yield Page(name="compare-document", address=of(room.rows["Letter to the landlord"], "versions_compare"))
    yield Page(name="compare-other", address=of(room.rows["Recipes"], "versions_compare"))
    yield Page(name="compare-same", address=of(room.rows["Price list"], "versions_compare") + "?old=2&new=5")


def collection_pages(room: Showroom) -> Iterator[Page]:
    yield Page(name="collections", address=run_page("changelist"))
    yield Page(name="collection-run", address=run_page("change", room.run.pk))
    yield Page(name="collection-plan", address=run_page("change", room.plan.pk))
    yield Page(name="collection-objects", address=run_page("objects", room.plan.pk))
    yield Page(name="collection-approve", address=run_page("approve", room.plan.pk))
    yield Page(name="collection-stop", address=run_page("stop", room.run.pk))
    yield Page(name="collection-start", address=run_page("start"))
    yield Page(name="collection-totals", address=f"{run_page('totals')}?storage=default")
    yield Page(name="collection-record", address=run_page("history", room.plan.pk))


def site_wide_pages(room: Showroom) -> Iterator[Page]:
    objects = stored("storedobject", "changelist")
    yield Page(name="objects", address=objects)
    yield Page(name="objects-found", address=objects + "?q=lease")
    yield Page(name="objects-nothing-found", address=objects + "?q=nowhere")
    for action in ("undelete", "delete", "hold", "release"):
        yield Page(name=f"objects-{action}", address=objects, then=choose(f"{action}_chosen"))
    yield Page(name="objects-changes", address=stored("recentchange", "changelist"))
    yield Page(name="objects-deleted", address=stored("deletedobject", "changelist"))
    lease, gone = (StoredObject.objects.get(name__endswith=name).pk for name in ("/lease.txt", "/invoice-0815.pdf"))
    yield Page(name="object", address=stored("storedobject", "change", lease))
    yield Page(name="object-delete", address=stored("storedobject", "change", lease), then=press("Delete…"))
    yield Page(name="object-deleted", address=stored("storedobject", "change", gone))
    yield Page(name="object-record", address=stored("storedobject", "history", lease))
    for page in ("versions", "versions_compare", "versions_hold", "versions_erase"):
        yield Page(name=f"object-{page}", address=stored("storedobject", page, lease, "file"))
    for page in ("version_restore", "version_copy", "version_hold", "version_delete"):
        yield Page(name=f"object-{page}", address=stored("storedobject", page, lease, "file", 2))
    held = stored("storedobject", "versions_release", lease, "file", room.hold.pk)
    yield Page(name="object-versions_release", address=held)
    yield Page(name="holds", address=stored("hold", "changelist"))
    yield Page(name="hold-shown", address=stored("hold", "change", room.hold.pk))
    yield Page(name="hold-released", address=stored("hold", "release", room.hold.pk))
    yield Page(name="hold-record", address=stored("hold", "history", room.hold.pk))


def moment_pages() -> Iterator[Page]:
    for name, address, action in (
        ("rows", reverse("admin:archive_contract_changelist"), "restore_files_as_of"),
        ("objects", stored("storedobject", "changelist"), "restore_chosen_as_of"),
    ):
        ask = choose(action)
        yield Page(name=f"moment-{name}", address=address, then=ask)
        yield Page(name=f"moment-{name}-plan", address=address, then=partial(plan, ask))


def stream_pages() -> Iterator[Page]:
    def at(page: str, *args: Any) -> str:
        return reverse(f"admin:consistent_s3_eventstream_{page}", args=args)

    order = ("default", "order", "2026-0815")
    yield Page(name="streams", address=at("changelist"))
    yield Page(name="streams-of-type", address=at("type", "default", "order"))
    yield Page(name="streams-nothing-found", address=at("type", "default", "order") + "?q=x")
    yield Page(name="stream", address=at("stream", *order))
    yield Page(name="stream-older", address=at("stream", *order) + "?until=60")
    yield Page(name="stream-nothing-found", address=at("stream", *order) + "?type=Lost")
    yield Page(name="stream-ended", address=at("stream", "default", "order", "2025-0001"))
    yield Page(name="stream-event", address=at("event", *order, 2))
    yield Page(name="stream-state", address=at("state", *order))


# Where they are


def of(row: Any, page: str, *args: Any) -> str:
    """Return the address of a page of a row's file."""
    field = "image" if page and hasattr(row, "image") else "file"
    return reverse(f"admin:archive_{row._meta.model_name}_{page}", args=[row.pk, field, *args])


def run_page(page: str, *args: Any) -> str:
    return reverse(f"admin:consistent_s3_collectionrun_{page}", args=args)


def stored(model: str, page: str, *args: Any) -> str:
    return reverse(f"admin:consistent_s3_{model}_{page}", args=args)


# What is done there


def choose(action: str) -> Callable[[Any], None]:
    """Return what begins an action on everything that a list shows."""

    def act(page: Any) -> None:
        page.locator("#action-toggle").check()
        page.locator("select[name=action]").select_option(action)
        with page.expect_navigation(wait_until="load"):
            page.locator("button[name=index]").first.click()

    return act


def plan(ask: Callable[[Any], None], page: Any) -> None:
    """Ask what things were like on a day in March."""
    ask(page)
    page.locator("[name=day]").fill("2026-03-05")
    page.locator("[name=time]").fill("14:00")
    with page.expect_navigation(wait_until="load"):
        page.locator(".submit-row input[type=submit]").click()


def replace_meanwhile(row: Any, page: Any) -> None:
    """Upload a file where somebody else has just uploaded one, and be warned."""
    chosen = {"name": "minutes.txt", "mimeType": "text/plain", "buffer": b"Present: nobody."}
    page.locator("input[type=file]").set_input_files(chosen)
    theirs = type(row).objects.get(pk=row.pk)
    theirs.file.save("minutes.txt", ContentFile(b"Present: everybody but Ben."), author="ben.ott", comment="Without me")
    with page.expect_navigation(wait_until="load"):
        page.locator("[name=_continue]").click()


def press(button: str, **fields: str) -> Callable[[Any], None]:
    """Return what fills a form in and sends it, though it comes back."""

    def act(page: Any) -> None:
        page.locator("#content form").evaluate_all("forms => forms.forEach(form => { form.noValidate = true })")
        for field, value in fields.items():
            page.locator(f"[name={field}]").fill(value)
        with page.expect_navigation(wait_until="load"):
            page.get_by_role("button", name=button, exact=True).click()

    return act


# What is not forgotten


def uncovered(paths: Iterable[str]) -> set[str]:
    """Return the views of ours that none of the paths belongs to."""
    led_to = {page_name(str(resolve(path).url_name)) for path in paths}
    return {page_name(name) for name in our_views()} - led_to - set(NOT_PAGES)


def our_views() -> set[str]:
    """Return the names of the admin's views that are ours: written by us, or of a model of ours."""
    return {
        str(pattern.name)
        for pattern in _patterns(get_resolver().url_patterns)
        if pattern.name
        and (str(pattern.name).startswith("consistent_s3_") or _module(pattern).startswith("consistent_s3"))
    }


def page_name(url_name: str) -> str:
    """Return what a page is called, whichever of the project's models it is for."""
    for model in admin.site._registry:
        own = f"{model._meta.app_label}_{model._meta.model_name}_"
        if url_name.startswith(own) and model._meta.app_label != "consistent_s3":
            return url_name.removeprefix(own)
    return url_name


def _patterns(patterns: Sequence[Any]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern


def _module(pattern: URLPattern) -> str:
    return str(getattr(pattern.callback, "__module__", ""))
