"""Files of chosen rows brought back to a moment in the admin: asked, shown, confirmed, told."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core import signing
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from consistent_s3.history_admin import moment as moment_pages
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests, count_requests
from consistent_s3.testing.aging import age
from tests.archive.admin import ContractAdmin
from tests.archive.models import Contract
from tests.test_admin import staff
from tests.test_admin_holds import said

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def zone(settings: Any) -> None:
    """Be where clocks are never changed, so that every moment has a time of its own."""
    settings.TIME_ZONE = "Asia/Kolkata"


@pytest.fixture(params=["listing", "database"])
def storage(request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]) -> ConsistentS3Storage:
    from django.core.files.storage import storages

    backend = "consistent_s3.storage.ConsistentS3Storage"
    options = {**storage_options, "index": request.param}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    return storages["default"]


on_listing = pytest.mark.parametrize("storage", ["listing"], indirect=True)
on_database = pytest.mark.parametrize("storage", ["database"], indirect=True)


def contract(title: str, data: str) -> Contract:
    row = Contract(title=title)
    row.file.save(f"{title}.txt", ContentFile(data.encode()), author="ann")
    return row


@pytest.fixture
def office(storage: ConsistentS3Storage) -> ConsistentS3Storage:
    """Return a storage with rows whose files were kept, replaced and made since two hours ago."""
    for title in ("kept", "replaced"):
        contract(title, f"{title}, as it was")
    age(storage, 2 * HOUR)
    Contract.objects.get(title="replaced").file.save("x.txt", ContentFile(b"bad import"), author="bob", comment=SCRIPT)
    contract("new", "new")
    Contract.objects.create(title="empty")
    age(storage, HOUR)
    return storage


LIST = "admin:archive_contract_changelist"
PAGE = "admin:archive_contract_moment"


def pks(*titles: str) -> list[int]:
    rows = Contract.objects.filter(title__in=titles) if titles else Contract.objects.all()
    return [row.pk for row in rows.order_by("pk")]


def moment(storage: ConsistentS3Storage, *, ago: timedelta = 2 * HOUR) -> dict[str, str]:
    local = timezone.localtime(storage.archive.clock.now() - ago)
    return {"day": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M:%S}"}


def begin(client: Client, *titles: str, **data: Any) -> Any:
    chosen = {"action": "restore_files_as_of", ACTION_CHECKBOX_NAME: pks(*titles), **data}
    return client.post(reverse(LIST), chosen)


def show(client: Client, storage: ConsistentS3Storage, *titles: str, **data: Any) -> Any:
    return client.post(reverse(PAGE), {ACTION_CHECKBOX_NAME: pks(*titles), **moment(storage), "comment": "", **data})


def plan_in(answer: Any) -> str:
    return re.search(r'name="plan" value="([^"]+)"', answer.content.decode())[1]  # type: ignore[index]


def confirm(client: Client, shown: Any) -> Any:
    return client.post(reverse(PAGE), {"plan": plan_in(shown)})


def read(title: str) -> bytes | None:
    row = Contract.objects.get(title=title)
    return row.file.read() if row.file and row.file.storage.exists(row.file.name) else None


def text(answer: Any) -> str:
    """Return the words of a page, without markup, on one line."""
    main = answer.content.decode().partition('id="content-main"')[2]
    return " ".join(re.sub(r"<[^>]+>", " ", main).replace("\xa0", " ").split())


# From the list to the page that asks


def test_the_action_asks_for_the_moment_in_the_users_time_zone(office, admin_client):
    answer = begin(admin_client, "kept", "replaced")

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Restore the files of 2 rows as they were" in page
    assert "In the time zone Asia/Kolkata." in page
    assert page.count(f'name="{ACTION_CHECKBOX_NAME}"') == 2
    assert f'value="{timezone.localdate()}"' in page
    assert f'action="{reverse(PAGE)}"' in page


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param({"day": ""}, "This field is required.", id="no day"),
        pytest.param({"time": ""}, "This field is required.", id="no time"),
        pytest.param({"day": "2999-01-01"}, "This moment has not come yet.", id="to come"),
        pytest.param({"day": "2026-03-29", "time": "02:30"}, "came twice, or never", id="never was"),
        pytest.param({"day": "2025-10-26", "time": "02:30"}, "came twice, or never", id="was twice"),
        pytest.param({"day": "1969-12-31"}, "greater than or equal to 1970-01-01.", id="before all"),
        pytest.param({"day": "0001-01-01", "time": "00:00"}, "greater than or equal to 1970-01-01.", id="first day"),
        pytest.param({"day": "9999-12-31", "time": "23:59"}, "This moment has not come yet.", id="last day"),
        pytest.param({"comment": "€" * 200}, "The comment is too long by about", id="long comment"),
        pytest.param({"comment": "x" * 301}, "at most 300 characters", id="longer comment"),
    ],
)
@pytest.mark.parametrize("use_tz", [True, False], ids=["aware", "naive"])
@on_listing
def test_a_moment_or_comment_that_makes_no_sense_is_asked_for_again(
    storage, admin_client, data, complaint, settings, use_tz
):
    settings.TIME_ZONE, settings.USE_TZ = "Europe/Berlin", use_tz
    contract("kept", "x")

    answer = show(admin_client, storage, **data)

    assert complaint in answer.content.decode()
    assert 'name="plan"' not in answer.content.decode()


REQUIRED = "This field is required."


@on_database
@pytest.mark.parametrize("required", [True, ("file",)], ids=["all", "this field"])
def test_where_versions_need_a_comment_so_do_restored_ones(office, admin_client, monkeypatch, required):
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "versions_comment_required", required)

    asked = begin(admin_client, "replaced")
    refused = show(admin_client, office, "replaced")
    shown = show(admin_client, office, "replaced", comment="bad import")
    confirm(admin_client, shown)

    assert re.search(r'name="comment"[^>]* required', asked.content.decode())
    assert REQUIRED in refused.content.decode()
    assert 'name="plan"' not in refused.content.decode()
    assert Contract.objects.get(title="replaced").file.version.comment == "bad import"


@on_database
def test_a_comment_is_not_asked_for_the_sake_of_what_would_not_be_restored(office, admin_client, monkeypatch):
    model_admin = admin.site.get_model_admin(Contract)
    monkeypatch.setattr(model_admin, "versions_comment_required", True)
    monkeypatch.setattr(model_admin, "get_readonly_fields", lambda *_: ["file", "appendix"])
    read_only = show(admin_client, office, "replaced")
    monkeypatch.undo()
    monkeypatch.setattr(model_admin, "versions_comment_required", ("other",))
    of_others = show(admin_client, office, "replaced")

    for answer in (read_only, of_others):
        assert REQUIRED not in answer.content.decode()


# The plan


def test_the_plan_tells_what_would_happen_to_each_file_and_changes_nothing(office, admin_client):
    with count_requests(office) as log:
        answer = show(admin_client, office)

    words = text(answer)
    assert "This would happen to 2 files. Nothing was changed so far." in words
    assert re.search(
        r"kept File contracts/kept\.txt Version 1, 15 bytes \S.*? Version 1, 15 bytes .*? Nothing It is as", words
    )
    assert re.search(
        r"Version 2, 10 bytes .*? Version 1, 19 bytes .*? Version 1 comes back It was replaced since\.", words
    )
    assert re.search(
        r"new\.txt Version 1, 3 bytes .*? – Is deleted, which can be undone It did not exist then\.", words
    )
    assert "empty File – – – Nothing It has no file, and which one it had is not kept." in words
    assert not set(log.counts) - {"LIST", "HEAD"}
    assert not LogEntry.objects.exists()
    assert read("replaced") == b"bad import"


def test_what_was_confirmed_is_done_told_and_logged(office, admin_client):
    shown = show(admin_client, office, comment="before the bad import")

    answer = confirm(admin_client, shown)

    assert answer.status_code == 302
    assert answer["Location"] == reverse(LIST)
    (message,) = said(answer)
    assert message.startswith("As it was at ")
    assert message.endswith(" IST: Restored 1 file. Deleted 1 file.")
    assert (read("kept"), read("replaced"), read("new")) == (b"kept, as it was", b"replaced, as it was", None)
    row = Contract.objects.get(title="replaced")
    version = row.file.version
    assert row.file_version == version.number == 3
    assert (version.author, version.comment) == ("admin", "before the bad import")
    entries = {entry.object_repr: entry.change_message for entry in LogEntry.objects.all()}
    assert entries["replaced"].startswith("Restored version 1 of “contracts/replaced.txt” as version 3: as it was at ")
    assert entries["new"].startswith("Deleted “contracts/new.txt”: as it was at ")
    assert len(entries) == 2


def test_without_a_comment_versions_say_which_moment_they_are_from(office, admin_client):
    confirm(admin_client, show(admin_client, office, "replaced"))

    assert Contract.objects.get(title="replaced").file.version.comment.startswith("as it was at ")


def test_confirming_twice_does_nothing_the_second_time(office, admin_client):
    shown = show(admin_client, office)
    confirm(admin_client, shown)

    again = confirm(admin_client, shown)

    assert said(again)[-1].endswith("2 files were so already.")
    assert Contract.objects.get(title="replaced").file_version == 3
    assert LogEntry.objects.count() == 2


def test_where_nothing_is_to_be_done_there_is_nothing_to_confirm(office, admin_client):
    answer = show(admin_client, office, "kept", "empty")

    assert "There is nothing to be done." in text(answer)
    assert 'name="plan"' not in answer.content.decode()
    assert "Do this" not in answer.content.decode()


def test_another_moment_can_be_chosen_from_the_plan(office, admin_client):
    data = {ACTION_CHECKBOX_NAME: pks("replaced"), **moment(office), "comment": "why", "again": "yes"}

    page = admin_client.post(reverse(PAGE), data).content.decode()

    assert f'value="{data["day"]}"' in page
    assert f'value="{data["time"]}"' in page
    assert 'value="why"' in page
    assert "This field is required." not in page


# What changed since the plan was shown


def test_a_file_that_was_written_since_the_plan_was_shown_is_left_alone_and_named(office, admin_client):
    shown = show(admin_client, office)
    Contract.objects.get(title="replaced").file.save("x.txt", ContentFile(b"meanwhile"))

    messages = said(confirm(admin_client, shown))

    assert "“contracts/replaced.txt” changed since the plan was shown, and was left alone. Plan again." in messages
    assert any("Deleted 1 file." in message for message in messages), "the others are done"
    assert read("replaced") == b"meanwhile"


def test_a_file_that_is_written_at_that_very_moment_is_a_conflict_and_stays(office, admin_client, monkeypatch):
    from consistent_s3.rewinding_rows import RowRewinder

    shown = show(admin_client, office, "replaced")
    carry_out = RowRewinder.carry_out

    def written_meanwhile(self: Any, planned: Any, **said: Any) -> Any:
        office.write(planned.step.name, ContentFile(b"meanwhile"))
        return carry_out(self, planned, **said)

    monkeypatch.setattr(RowRewinder, "carry_out", written_meanwhile)

    (message,) = said(confirm(admin_client, shown))

    assert "Version 3 of 'contracts/replaced.txt' is current, but 2 was expected." in message
    assert office.open("contracts/replaced.txt").read() == b"meanwhile"
    assert not LogEntry.objects.exists()


def test_a_row_that_is_gone_is_named(office, admin_client):
    shown = show(admin_client, office, "replaced")
    Contract.objects.filter(title="replaced").delete()

    assert said(confirm(admin_client, shown)) == [
        "“contracts/replaced.txt”: it is gone by now, or you may not restore it."
    ]


def test_of_many_failures_some_are_named_and_the_rest_counted(office, admin_client, monkeypatch):
    monkeypatch.setattr(moment_pages, "NAMED", 1)
    shown = show(admin_client, office)
    Contract.objects.all().delete()

    assert said(confirm(admin_client, shown))[1:] == ["1 more failed."]


# What is confirmed is what was shown


@on_database
@pytest.mark.parametrize("change", ["garbled", "another user's", "of another list", "too old"])
def test_a_plan_that_was_not_shown_to_this_user_is_refused(office, admin_client, change, monkeypatch):
    shown = show(admin_client, office)
    plan = plan_in(shown)
    if change == "garbled":
        plan = plan[:-1] + ("a" if plan[-1] != "a" else "b")
    elif change == "of another list":
        plan = signing.TimestampSigner(salt="consistent_s3.moment.archive.document").sign_object({"user": "1"})
    elif change == "too old":
        monkeypatch.setattr(moment_pages, "VALID", -1)
    else:
        other = User.objects.create_superuser("other", password="x")
        admin_client.force_login(other)

    answer = admin_client.post(reverse(PAGE), {"plan": plan})

    assert said(answer) == ["This plan is too old, or not yours. Nothing was changed: plan again."]
    assert read("replaced") == b"bad import"


# How much


@on_database
def test_too_many_rows_are_refused_and_the_command_is_named(office, admin_client, monkeypatch):
    monkeypatch.setattr(moment_pages, "MOST", 2)

    chosen, posted = begin(admin_client), show(admin_client, office)

    for answer in (chosen, posted):
        assert answer.status_code == 302
        assert said(answer)[-1] == (
            "4 rows were chosen, and at most 2 are taken at once. Nothing was changed. For more there is “manage.py "
            "consistent_s3 rewind”."
        )


@on_database
def test_nothing_chosen_is_told(office, admin_client):
    answer = admin_client.post(reverse(PAGE), moment(office))

    assert said(answer) == ["Choose at least one row."]


@on_database
@pytest.mark.parametrize("pk", ["x", "99999999", "1' OR '1'='1"])
def test_rows_that_are_not_there_make_an_empty_plan(office, admin_client, pk):
    data = {ACTION_CHECKBOX_NAME: [pk], **moment(office), "comment": ""}

    assert "There is nothing to be done." in text(admin_client.post(reverse(PAGE), data))


def queries(work: Any) -> int:
    with CaptureQueriesContext(connection) as log:
        work()
    return len(log)


@on_database
def test_a_plan_costs_the_same_queries_and_no_request_however_many_rows_there_are(office, admin_client):
    few = queries(lambda: show(admin_client, office, "new", "replaced"))
    for number in range(8):
        contract(f"more-{number}", "x")

    with assert_requests(office):
        many = queries(lambda: show(admin_client, office))

    assert many == few


@on_listing
def test_without_rows_of_the_index_a_plan_costs_one_list_for_each_file(office, admin_client):
    with assert_requests(office, LIST=3):
        show(admin_client, office)


@on_listing
def test_a_store_that_does_not_answer_is_told_on_both_pages(office, admin_client, monkeypatch):
    shown = show(admin_client, office)
    from django.core.files.storage import storages

    monkeypatch.setattr(storages["default"], "bucket_name", "missing-bucket")
    monkeypatch.setattr(storages["default"], "_archive", None)

    assert "The store does not answer, so nobody can say what would happen:" in text(show(admin_client, office))
    assert said(confirm(admin_client, shown))[0].startswith("The store does not answer, so nothing was changed:")


# Who may


def clerk(*permissions: str) -> Client:
    return staff(*permissions)


RIGHTS = [
    # rights, offered on the list, may plan, is done
    ([], False, False, False),
    (["view_contract"], False, False, False),
    (["view_contract", "delete_contract", "add_contract"], False, False, False),
    (["change_contract"], True, True, True),
    (["view_contract", "change_contract"], True, True, True),
]


@on_database
@pytest.mark.parametrize(
    ("rights", "offered", "plans", "done"), [pytest.param(*row, id="+".join(row[0]) or "none") for row in RIGHTS]
)
def test_each_page_needs_the_right_to_change_rows(office, admin_client, rights, offered, plans, done):
    client = clerk(*rights)
    listed = client.get(reverse(LIST))

    shown = show(client, office)
    begun = begin(client)
    got = client.get(reverse(PAGE))
    foreign = client.post(reverse(PAGE), {"plan": plan_in(show(admin_client, office))})

    assert ("restore_files_as_of" in listed.content.decode()) is offered
    assert shown.status_code == (200 if plans else 403)
    assert got.status_code == (302 if plans else 403)
    assert foreign.status_code == (302 if plans else 403)
    assert ("Show what would happen" in begun.content.decode()) is offered
    assert read("replaced") == b"bad import", "a plan that was shown to somebody else is nobody's"
    if done:
        confirm(client, shown)
    assert (read("replaced") != b"bad import") is done


@on_database
@pytest.mark.parametrize("right", ["has_restore_version_permission", "has_history_permission"])
def test_each_row_is_asked_for_its_own_right(office, admin_client, monkeypatch, right):
    model_admin = admin.site.get_model_admin(Contract)
    monkeypatch.setattr(model_admin, right, lambda request, obj: obj.title != "replaced", raising=False)

    shown = show(admin_client, office)
    confirm(admin_client, shown)

    assert "replaced – – – Nothing You may not restore the files of this row." in text(shown)
    assert "contracts/replaced.txt" not in shown.content.decode()
    assert (read("replaced"), read("new")) == (b"bad import", None)


@on_database
def test_a_right_that_was_taken_away_since_the_plan_counts(office, admin_client, monkeypatch):
    shown = show(admin_client, office, "replaced")
    model_admin = admin.site.get_model_admin(Contract)
    monkeypatch.setattr(model_admin, "has_restore_version_permission", lambda request, obj: False, raising=False)

    assert said(confirm(admin_client, shown)) == [
        "“contracts/replaced.txt”: it is gone by now, or you may not restore it."
    ]
    assert read("replaced") == b"bad import"


@on_database
def test_rows_that_the_admin_hides_cannot_be_named(office, admin_client, monkeypatch):
    model_admin = admin.site.get_model_admin(Contract)
    hidden = lambda request: Contract.objects.exclude(title="replaced")  # noqa: E731
    monkeypatch.setattr(model_admin, "get_queryset", hidden)

    assert "contracts/replaced.txt" not in show(admin_client, office).content.decode()


@on_database
def test_files_that_the_form_hides_are_left_alone(office, admin_client, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(Contract), "exclude", ["file"])

    assert "There is nothing to be done." in text(show(admin_client, office))


@on_database
def test_a_project_with_actions_of_its_own_has_this_one_too_unless_it_wants_none(office, admin_client, monkeypatch):
    model_admin = admin.site.get_model_admin(Contract)

    def withdraw(model_admin: Any, request: Any, queryset: Any) -> None:
        """Do nothing."""

    monkeypatch.setattr(model_admin, "actions", [withdraw], raising=False)
    own = admin_client.get(reverse(LIST)).content.decode()
    monkeypatch.setattr(model_admin, "actions", None, raising=False)
    none = admin_client.get(reverse(LIST)).content.decode()
    popup = admin_client.get(reverse(LIST) + "?_popup=1").content.decode()

    assert 'value="withdraw"' in own
    assert "Restore files as they were at…" in own
    assert "restore_files_as_of" not in none
    assert "restore_files_as_of" not in popup


@on_database
def test_strangers_are_sent_to_the_login(office, client):
    assert "/login/" in client.get(reverse(PAGE))["Location"]
    assert "/login/" in show(client, office)["Location"]


# What people typed


@on_listing
def test_what_people_typed_is_never_markup(storage, admin_client):
    row = contract(SCRIPT, "one")
    age(storage, 3 * HOUR)
    row.file.save(f"{SCRIPT}.txt", ContentFile(b"two"), author=SCRIPT, comment=SCRIPT)

    asked = begin(admin_client)
    shown = show(admin_client, storage, comment=SCRIPT)
    done = admin_client.post(reverse(PAGE), {"plan": plan_in(shown)}, follow=True)

    for answer in (asked, shown, done):
        assert SCRIPT not in answer.content.decode()
    assert Contract.objects.get().file.version.comment == SCRIPT


@on_listing
def test_no_page_has_inline_script_or_style(storage, admin_client):
    contract("kept", "x")

    for answer in (begin(admin_client), show(admin_client, storage)):
        main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
        assert "<script" not in main
        assert "style=" not in main
        assert "onclick" not in main


@on_listing
def test_without_time_zones_times_are_those_of_the_project(storage, admin_client, settings):
    contract("kept", "x")
    settings.USE_TZ = False

    asked, shown = begin(admin_client), show(admin_client, storage)

    assert asked.status_code == 200
    assert "It did not exist then." in text(shown)
    assert said(confirm(admin_client, shown))[0].endswith(" IST: Deleted 1 file.")


@on_listing
@pytest.mark.parametrize("use_tz", [True, False])
def test_dates_without_a_time_zone_are_those_of_the_user(storage, settings, use_tz):
    settings.USE_TZ = use_tz

    form = moment_pages.MomentForm({"day": "2026-01-01", "time": "14:00", "comment": ""}, comment_required=False)

    assert form.is_valid()
    assert form.cleaned_data["moment"] == datetime.fromisoformat("2026-01-01T14:00+05:30")


def test_what_the_form_shows_read_only_is_left_alone(office, admin_client, monkeypatch):
    before = show(admin_client, office)
    monkeypatch.setattr(ContractAdmin, "readonly_fields", ["file"])

    shown = show(admin_client, office)
    confirmed = confirm(admin_client, before)

    assert text(shown).count("The form of the row shows this file read-only.") == 4
    assert "There is nothing to be done." in text(shown)
    assert read("replaced") == b"bad import"
    assert read("new") == b"new"
    assert len(said(confirmed)) == 2
