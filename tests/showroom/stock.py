"""The rows and files of the bakery: who saved what, when and why, always the same.

Times are put into the rows afterwards: versions are written now, and shown as of 2026.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone

from consistent_s3.collection import collect_garbage
from consistent_s3.models import CollectionRun, CollectionSlice, Hold, StoredObject, StoredVersion
from consistent_s3.runs import Order
from tests.archive.models import Attachment, Contract, Document, Picture
from tests.showroom import contents

ANNA, BEN, MARTA, IMPORT = "anna.keller", "ben.ott", "marta.oliveira", "nightly import"
PASSWORD = "flour"
RETENTION = {"keep_last": 4, "keep_for": timedelta(days=30)}
LONG_NAME = (
    "Minutes-of-the-extraordinary-meeting-of-the-owners-and-the-neighbours-about-the-oven-in-the-yard-final-2.txt"
)
NOW = datetime(2026, 7, 14, 8, 30, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Showroom:
    """What pages are about."""

    rows: dict[str, Any] = field(default_factory=dict)
    """Rows by what they are called."""
    plan: CollectionRun = field(default_factory=CollectionRun)
    """A finished dry run."""
    run: CollectionRun = field(default_factory=CollectionRun)
    """A collection that stands in the middle."""
    hold: Hold = field(default_factory=Hold)


def fill() -> Showroom:
    """Save everything. The default storage has the database index and may have any retention."""
    for name in (ANNA, BEN, MARTA):
        User.objects.create_superuser(name, password=PASSWORD, first_name=name.partition(".")[0].title())
    room = Showroom()
    for title, saves in contracts().items():
        contract = room.rows[title] = Contract(title=title)
        _save(contract.file, saves)
    _restore_the_price_list(room.rows["Price list"])
    handbook = room.rows["Handbook"] = Document(title="Handbook for new colleagues")
    _save(handbook.file, handbooks())
    for name, body in (("cleaning-plan.txt", b"Monday: ovens"), ("allergens.csv", b"article,allergen\nrye,gluten\n")):
        attachment = Attachment(document=handbook)
        _save(attachment.file, [Save("2026-03-11 10:00", ANNA, name, body, "")])
    picture = room.rows["Picture"] = Picture()
    _save(
        picture.image,
        [Save("2026-02-01 12:00", BEN, "shop.png", contents.sign("Bakery", "#5b3a29"), "From the street")],
    )
    _delete_some()
    room.hold = _hold_the_lease(room.rows["Lease of the north wing"])
    return room


@dataclass(frozen=True, slots=True)
class Save:
    """Somebody saves a file."""

    when: str
    author: str
    file_name: str
    body: bytes
    comment: str


def contracts() -> dict[str, list[Save]]:
    """Return the saves of each contract, oldest first."""
    winter = {"Rye_bread": 4.2, "Baguette": 1.9, "Pretzel": 0.9, "Apple_cake": 3.2}
    march = {**winter, "Rye_bread": 4.4, "Poppy_seed_cake": 3.4}
    return {
        "Price list": [
            Save("2026-01-05 08:12", ANNA, "prices-2026.csv", contents.prices(**winter), "Prices for 2026"),
            Save(
                "2026-03-02 09:14",
                BEN,
                "prices-2026.csv",
                contents.prices(**march),
                "Rye bread is dearer, one new cake",
            ),
            Save("2026-03-09 17:48", BEN, "lease-north-wing.txt", contents.lease(900), ""),
            Save("2026-03-23 07:55", MARTA, "prices-easter.csv", contents.prices(**march, Easter_lamb=5.5), "Easter"),
            Save("2026-04-08 07:31", IMPORT, "prices-2026.csv", contents.prices(**march), "Easter is over"),
        ],
        "Lease of the north wing": [
            Save("2024-05-02 10:00", ANNA, "lease.txt", contents.lease(900), "Signed by both parties"),
            Save(
                "2025-05-06 15:30", BEN, "lease-corrected.txt", contents.lease(950), "Rent raised after the new windows"
            ),
            Save(
                "2026-05-04 11:20",
                ANNA,
                "lease-2026.txt",
                contents.lease(950, "§ 6  Bicycles stand in the shed."),
                "Bicycles, as agreed in the meeting",
            ),
        ],
        "Opening hours": [
            Save(
                "2026-01-05 08:20",
                BEN,
                "hours.json",
                contents.hours(mon=None, tue="6-18", sat="6-12"),
                "As on the door",
            ),
            Save(
                "2026-06-01 08:20", ANNA, "hours.json", contents.hours(mon="6-12", tue="6-18", sat="6-13"), "Mondays!"
            ),
        ],
        "Shop sign": [
            Save("2026-02-02 14:00", ANNA, "sign-draft.png", contents.sign("Keller & Ott", "#5b3a29"), "First draft"),
            Save(
                "2026-02-20 16:45", BEN, "sign.png", contents.sign("Ott & Keller", "#2f5d50"), "Green, and alphabetical"
            ),
        ],
        "Letter to the landlord": [
            Save("2026-04-01 09:00", BEN, "letter.pdf", contents.pdf("Dear Mr Lang,", "the oven smokes."), "Draft"),
            Save(
                "2026-04-02 09:00",
                ANNA,
                "letter.pdf",
                contents.pdf("Dear Mr Lang,", "the oven is fine."),
                "It was not the oven",
            ),
        ],
        "Recipes": [
            Save("2026-01-09 09:00", BEN, "recipes.zip", contents.archive("rye", "spelt"), ""),
            Save("2026-01-30 09:00", BEN, "recipes.zip", contents.archive("rye", "spelt", "poppy seed"), "One more"),
        ],
        "Minutes": [Save("2026-06-30 20:15", MARTA, LONG_NAME, b"Present: everybody.\n", "Taken down in the meeting")],
    }


def handbooks() -> list[Save]:
    """Return the saves of a document, whose row is not pinned."""
    return [
        Save(
            "2025-09-01 09:00",
            MARTA,
            "handbook.txt",
            b"Welcome!\n\nWe begin at four in the morning.\n",
            "First edition",
        ),
        Save(
            "2026-03-11 09:00",
            ANNA,
            "handbook.txt",
            b"Welcome!\n\nWe begin at five in the morning.\n",
            "We sleep longer",
        ),
    ]


# How it is done


def _save(file: Any, saves: list[Save]) -> None:
    for save in saves:
        file.save(save.file_name, ContentFile(save.body), author=save.author, comment=save.comment)
        _date(str(file.name), save.when)


def _date(name: str, when: str) -> None:
    """Let the newest version of a name have been written at a moment, which is told in UTC."""
    moment = datetime.fromisoformat(when).replace(tzinfo=UTC)
    found = StoredObject.objects.get(name=name)
    StoredVersion.objects.filter(stored_object=found, number=found.newest).update(modified=moment)
    if hasattr(found, "changed"):
        StoredObject.objects.filter(pk=found.pk).update(changed=moment)


def _restore_the_price_list(contract: Contract) -> None:
    contract.file.restore(2, author=MARTA, comment="Summer prices are those of March")
    _date(str(contract.file.name), "2026-07-01 06:40")


def _delete_some() -> None:
    storage = storages["default"]
    for number, (name, when, author, comment) in enumerate(_deleted(), start=1):
        storage.write(name, ContentFile(b"x" * 4_321 * number), author=BEN, comment="")
        _date(name, "2026-02-10 10:00")
        storage.delete(name, author=author, comment=comment)
        _date(name, when)


def _deleted() -> Iterator[tuple[str, str, str, str]]:
    yield "documents/invoice-0815.pdf", "2026-06-12 13:05", BEN, "Entered twice"
    yield "documents/old-menu.txt", "2026-05-29 18:22", MARTA, ""
    yield "contracts/insurance-2021.pdf", "2026-01-15 09:00", IMPORT, "Older than five years"


def _hold_the_lease(contract: Contract) -> Hold:
    hold: Hold = storages["default"].hold(
        str(contract.file.name), 1, reason="Lawsuit about the windows, file 12 C 345/26", author=MARTA
    )
    Hold.objects.filter(pk=hold.pk).update(created=datetime(2026, 6, 3, 9, 30, tzinfo=UTC))
    return hold


def collections(room: Showroom) -> None:
    """Plan a collection, and put one on record that was carried out and one that is in the middle."""
    collect_garbage("default", order=Order(dry_run=True, started_by=ANNA))
    room.plan = plan = CollectionRun.objects.get()
    hour = timedelta(hours=1)
    CollectionRun.objects.filter(pk=plan.pk).update(started=NOW - hour, finished=NOW - hour * 0.99)
    plan.refresh_from_db()
    error = {"key": "files/documents/lease.pdf.-v/9999.pdf", "code": "AccessDenied", "message": "Access Denied"}
    done = {**plan.summary, "dry_run": False, "scanned": 1_204_331, "kept": 1_171_220, "deleted": 33_111}
    CollectionRun.objects.create(
        storage="default",
        place=plan.place,
        state=CollectionRun.State.DONE,
        started_by="Celery",
        started=NOW - 20 * hour,
        swept_from=NOW - 20 * hour,
        finished=NOW - 19.4 * hour,
        summary={**done, "bytes_freed": 8 * 1024**3, "errors": [error], "error_count": 1},
    )
    now = timezone.now()  # its page says how fast it is, and when it will end
    room.run = run = CollectionRun.objects.create(
        storage="default",
        place=plan.place,
        state=CollectionRun.State.SWEEPING,
        started_by="Celery",
        started=now - hour,
        swept_from=now - hour / 2,
        planned={"scanned": 1_200_000},
        policy={"keep_last": 4, "keep_for": "30 days, 0:00:00"},
    )
    counted = {"scanned": 410_000, "kept": 398_877, "deleted": 11_123, "bytes_freed": 3 * 1024**3}
    counted["reasons"] = {"current": 50_000, "keep_last": 348_877, "superseded, and no rule keeps it": 11_123}
    CollectionSlice.objects.create(
        run=run, sweeps=True, counted=counted, owner="x", leased_until=datetime(2100, 1, 1, tzinfo=UTC)
    )
