"""The walk of `demo --check`: through everything that the project promises, as its users would meet it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.templatetags.static import static
from django.urls import reverse

from archive.models import Document
from consistent_s3.attribution import attribution
from consistent_s3.core.errors import ConflictError, VersionNotFoundError
from consistent_s3.models import CollectionRun
from consistent_s3.tasks import collect_garbage
from demo.batch import kill_and_resume
from demo.browser import Browser, Page
from demo.checklist import Checklist, wait_until
from demo.ordering import order_pay_and_ship
from demo.samples import ANN, BOB

MONTH = timedelta(days=30)
WORKER_PATIENCE = 120
"""Seconds for the worker to do what beat tells it every few: it may still be starting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the walk meets beside the project itself."""

    address: str
    password: str
    worker: int
    """The process of the Celery worker; its pool are its children."""
    check_services: Callable[[], None]
    """Raises if the web server, the worker or beat died."""
    age: Callable[[frozenset[str], timedelta], int] | None
    """Makes objects older, where the bucket is the demo's own."""


def walk(see: Checklist, around: Surroundings) -> None:
    """See everything once. Raises `NotSoError`, and whatever goes wrong on the way."""
    see.heading("Saving, as code does it")
    save_and_replace(see)
    see.heading("Deleting, and taking it back")
    delete_and_undelete(see)
    see.heading("Collecting, by the Celery worker")
    if around.age is None:
        collect_nothing_yet(see)
    else:
        collect_what_is_old(see, around, around.age)
    see.heading("A batch job, killed and resumed")
    kill_and_resume(see, around.check_services, around.worker)
    see.heading("An order, paid and shipped by several at once")
    order_pay_and_ship(see)
    see.heading("The admin, over HTTP")
    admin(see, around)


def save_and_replace(see: Checklist) -> None:
    document = Document(title="Report")
    document.file.save("report.txt", ContentFile(b"draft"), author=ANN, comment="first draft")
    name = document.file.name
    see.same(document.file_version, 1, f"ann saved {name} as version 1")

    document.file.save("report final.txt", ContentFile(b"final"), author=BOB, comment="final")
    see.same((document.file_version, document.file.name), (2, name), "bob replaced it: version 2, same name")
    see.same(document.file.read(), b"final", "a read shows version 2")
    with document.file.at(1) as earlier:
        see.same(earlier.read(), b"draft", "version 1 still has its own bytes")
    newest = document.file.version
    told = (newest.author, newest.comment, newest.original_name)
    see.same(told, (BOB, "final", "report final.txt"), "the version knows who, why, and what the upload was called")

    with see.refusal(ConflictError, "ann, who had seen version 1, is told"):
        document.file.save("report.txt", ContentFile(b"mine"), expected=1, author=ANN)
    see.same(_numbers(document), [2, 1], "nothing was written by the conflict")


def delete_and_undelete(see: Checklist) -> None:
    document = Document.objects.get(title="Report")
    name = document.file.name
    directory, _, file_name = name.rpartition("/")
    see.see(file_name in _files(directory), f"a listing of {directory} shows {file_name}", instead=_files(directory))

    with attribution(author=BOB, comment="no longer valid"):
        document.withdraw()
    tombstone = next(document.file.history())
    told = (tombstone.number, tombstone.tombstone, tombstone.author)
    see.same(told, (3, True, BOB), f"bob deleted {name}: version 3 is a tombstone")
    see.same(default_storage.current(name), None, "it does not exist any more")
    see.see(file_name not in _files(directory), "the listing does not show it", instead=_files(directory))
    with see.refusal(FileNotFoundError, "whoever opens it is told"):
        default_storage.open(name)

    undeleted = default_storage.undelete(name, author=ANN, comment="it is valid after all")
    see.same(undeleted.number, 4, "ann undeleted it as version 4")
    document.refresh_from_db()
    see.same(document.file.read(), b"final", "it reads as before")

    restored = document.file.restore(1, author=BOB, comment="back to the draft")
    see.same(restored.number, 5, "bob restored version 1 as version 5")
    document.refresh_from_db()
    see.same((document.file_version, document.file.read()), (5, b"draft"), "the row has version 5 and its bytes")
    see.same(_numbers(document), [5, 4, 3, 2, 1], "the history has all five")


def collect_what_is_old(see: Checklist, around: Surroundings, age: Callable[[frozenset[str], timedelta], int]) -> None:
    document = Document(title="Diary")
    for day in range(1, 6):
        document.file.save("diary.txt", ContentFile(f"day {day}".encode()), author=ANN)
    keys = frozenset(version.key for version in document.file.history() if version.number <= 3)
    document.file.storage.hold(document.file.name, 2, reason="An audit", author=BOB)
    see.same(age(keys, MONTH), 3, f"of five versions of {document.file.name} three are now dated a month ago")

    took = wait_until(
        lambda: _numbers(document) == [5, 4, 3, 2], seconds=WORKER_PATIENCE, meanwhile=around.check_services
    )
    fact = "beat told the worker, and version 1 is gone from the bucket; version 2 is on hold for an audit"
    see.see(took is not None, fact, instead=f"after {WORKER_PATIENCE} s these are left: {_numbers(document)}")
    see.saw(f"that took {took:.1f} s; version 3 is kept by keep_last=3, however old")
    with see.refusal(VersionNotFoundError, "whoever asks for version 1 is told"):
        document.file.at(1)
    see.same(document.file.read(), b"day 5", "the current version reads as before")
    noted = wait_until(_a_run_took_something, seconds=WORKER_PATIENCE, meanwhile=around.check_services)
    fact = "the run is on record, with what it took and the hold as a reason to keep"
    see.see(noted is not None, fact, instead=f"after {WORKER_PATIENCE} s no run says so")


def _a_run_took_something() -> bool:
    done = CollectionRun.objects.filter(state=CollectionRun.State.DONE).values_list("summary", flat=True)
    return any(summary["deleted"] and "a hold covers it" in summary["reasons"] for summary in done)


def collect_nothing_yet(see: Checklist) -> None:
    before = _numbers(Document.objects.get(title="Report"))
    summary = collect_garbage.delay().get(timeout=WORKER_PATIENCE)["default"]
    see.same(summary["error_count"], 0, f"the worker looked at {summary['scanned']} keys and had no errors")
    after = _numbers(Document.objects.get(title="Report"))
    see.same(after, before, "nothing of the report went: it is too young")


def admin(see: Checklist, around: Surroundings) -> None:
    document = Document(title="Notes")
    document.file.save("notes.txt", ContentFile(b"one"), author=BOB, comment="from bob")
    change = reverse("admin:archive_document_change", args=[document.pk])
    browser = Browser(around.address)

    page = browser.get(change)
    see.see("/login/" in page.address, "a stranger is asked to log in", instead=page.address)
    page = browser.submit(page, page.form("username"), {"username": ANN, "password": around.password})
    see.see(_shows(page, "Version 1", BOB), "ann logged in and sees: version 1, by bob", instead=_summary(page))

    sheet = browser.get(static("consistent_s3/admin.css"))
    see.same((sheet.status, sheet.body != b""), (200, True), "the style sheet of the versions is served")

    upload_in_the_browser(see, browser, page, document)
    look_back_in_the_browser(see, browser, document)

    page = browser.get("/")
    see.see(_shows(page, "Notes</a>, version 3"), "visitors are shown version 3", instead=_summary(page))
    link = document.file.url
    see.same(browser.get(link).body, b"one", "and its signed address gives its bytes")


def upload_in_the_browser(see: Checklist, browser: Browser, page: Page, document: Document) -> None:
    form = page.form("file")
    comment = next((name for name in form.fields if name.startswith("file") and name.endswith("comment")), None)
    see.see(comment, "there is a box for a comment beside the file", instead=sorted(form.fields))
    page = browser.submit(page, form, {comment: "typed by ann", "_continue": "1"}, {"file": ("new.txt", b"two")})
    see.see(_shows(page, "was changed successfully", "Version 2"), "she uploaded version 2", instead=_summary(page))
    document.refresh_from_db()
    version = document.file.version
    told = (version.number, version.author, version.comment, document.file.read())
    see.same(told, (2, ANN, "typed by ann", b"two"), "which is kept under her name, with what she typed")


def look_back_in_the_browser(see: Checklist, browser: Browser, document: Document) -> None:
    page = browser.get(reverse("admin:archive_document_versions", args=[document.pk, "file"]))
    shown = _shows(page, "from bob", "typed by ann", "new.txt")
    see.see(shown, "the history shows both versions, who and why", instead=_summary(page))

    download = reverse("admin:archive_document_version_download", args=[document.pk, "file", 1])
    see.same(browser.get(download).body, b"one", "she downloaded version 1: the same bytes")

    restore = reverse("admin:archive_document_version_restore", args=[document.pk, "file", 1])
    page = browser.get(restore)
    see.same(_numbers(document), [2, 1], "opening the page to restore writes nothing")
    page = browser.submit(page, page.form("comment"), {"comment": "the old ones were better"})
    see.see(_shows(page, "the old ones were better"), "she restored version 1, and said why", instead=_summary(page))
    document.refresh_from_db()
    told = (document.file_version, document.file.version.author, document.file.read())
    see.same(told, (3, ANN, b"one"), "the row has version 3, by ann, with the bytes of version 1")


def _numbers(document: Document) -> list[int]:
    return [version.number for version in document.file.history()]


def _files(directory: str) -> list[str]:
    return default_storage.listdir(directory)[1]


def _shows(page: Page, *texts: str) -> bool:
    return page.status == 200 and all(text in page.text for text in texts)


def _summary(page: Page) -> str:
    words = " ".join(page.text.split())
    return f"{page.address} answered {page.status}: {words[:2000]}"
