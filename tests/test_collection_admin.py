"""Collections in the admin: who may do what, what pages say, and what comes of their buttons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery, current_app
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consistent_s3 import collection, runs
from consistent_s3.collection_admin import PAGE
from consistent_s3.core.retention import Reason
from consistent_s3.errors import CollectionRefusedError
from consistent_s3.journal import LEASE
from consistent_s3.models import CollectedObject, CollectionRun, CollectionSlice
from consistent_s3.reasons import WORDS, words
from consistent_s3.runs import Order
from consistent_s3.storage import ConsistentS3Storage
from tests.seeding import seed

pytestmark = pytest.mark.django_db

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
OLD = datetime.now(UTC) - timedelta(days=9)
State = CollectionRun.State
Configure = Callable[..., ConsistentS3Storage]


@pytest.fixture
def configure(settings: Any, storage_options: dict[str, Any]) -> Configure:
    """Return a function that gives the default storage options, and returns it."""

    def configure(**options: Any) -> ConsistentS3Storage:
        options = {**storage_options, "retention": {"keep_last": 1}, **options}
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
        return storages["default"]

    return configure


@pytest.fixture
def storage(configure: Configure) -> ConsistentS3Storage:
    """Configure the default storage with three old versions of a name."""
    storage = configure()
    seed(storage, "a.txt", [1, 2, 3], data=b"x" * 1024, modified=OLD)
    return storage


@pytest.fixture
def plan(storage: ConsistentS3Storage) -> CollectionRun:
    """Return a finished dry run."""
    collection.collect_garbage("default", order=Order(dry_run=True, started_by="ann"))
    return CollectionRun.objects.get()


@pytest.fixture
def under_way(storage: ConsistentS3Storage) -> CollectionRun:
    """Return a run that nobody works on yet."""
    return runs.begin("default", storage, Order(max_delete_ratio=1))


@pytest.fixture
def page(admin_client: Client) -> Callable[..., str]:
    """Return a function that opens a page and returns its text, without marks."""

    def page(name: str, *args: Any, query: str = "") -> str:
        answer = admin_client.get(url(name, *args) + query)
        assert answer.status_code == 200, answer
        return text(answer)

    return page


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:consistent_s3_collectionrun_{name}", args=args)


def text(answer: Any) -> str:
    body = re.sub(r"(?s)<(script|head).*?</\1>", "", answer.content.decode())
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("\xa0", " ").split())


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def numbers(storage: ConsistentS3Storage) -> list[int]:
    return [version.number for version in storage.history("a.txt")]


def log() -> list[tuple[str, str, str]]:
    """Return who did what with which run."""
    entries = LogEntry.objects.order_by("pk")
    return [(entry.user.get_username(), entry.object_id, entry.get_change_message()) for entry in entries]


# Rights

VIEW, START, STOP = "view_collectionrun", "start_collection", "stop_collection"
PAGES = [
    "changelist",
    "totals",
    "start",
    "change",
    "history",
    "progress",
    "objects",
    "approve",
    "stop",
    "add",
    "delete",
]
OF_THE_APP = {"changelist", "totals", "start", "add"}
LOOK = {"changelist", "totals", "change", "history", "progress", "objects"}
ALLOWED = {
    (VIEW,): LOOK,
    (VIEW, START): LOOK | {"start", "approve"},
    (VIEW, STOP): LOOK | {"stop"},
    (VIEW, START, STOP): LOOK | {"start", "approve", "stop"},
    (START, STOP): set(),
    ("change_collectionrun", "add_collectionrun", "delete_collectionrun"): LOOK,
    (): set(),
}
"""Which pages may be looked at by staff with some rights; those that change something may be posted to as well."""


def clerk(*rights: str, is_staff: bool = True) -> Client:
    user = User.objects.create_user("clerk", password="x", is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights, content_type__app_label="consistent_s3"))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("rights", ALLOWED, ids=lambda rights: "+".join(rights) or "none")
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_rights(plan, rights, name, method):
    client = clerk(*rights)
    other = runs.begin("default", storages["default"], Order()) if name == "stop" else plan

    answer = getattr(client, method)(url(name, *([] if name in OF_THE_APP else [other.pk])))

    allowed = name in ALLOWED[rights]
    if method == "get":
        assert answer.status_code == (200 if allowed else 403)
    elif method == "post" and name in {"start", "approve", "stop"}:
        assert answer.status_code == ((200 if name == "start" else 302) if allowed else 403)
    else:
        assert answer.status_code in ({405, 200, 302} if name in {"changelist", "history"} and allowed else {403, 405})
    began = CollectionRun.objects.exclude(pk__in=[plan.pk, other.pk]).exists()
    assert began == (allowed and (method, name) == ("post", "approve"))
    other.refresh_from_db()
    assert other.stop_requested == (allowed and (method, name) == ("post", "stop"))


@pytest.mark.parametrize("name", PAGES)
def test_who_is_no_staff_is_sent_to_the_login(plan, name):
    client = clerk(VIEW, START, STOP, is_staff=False)

    for method in (client.get, client.post):
        answer = method(url(name, *([] if name in OF_THE_APP else [plan.pk])))
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, reverse("admin:login"))


@pytest.mark.parametrize("name", ["start", "approve", "stop"])
def test_what_changes_something_asks_for_a_token(under_way, plan_of, admin_user, name):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    run = {"start": [], "approve": [plan_of.pk], "stop": [under_way.pk]}[name]

    assert client.post(url(name, *run), {"storage": "default"}).status_code == 403
    assert CollectionRun.objects.count() == 2
    assert not CollectionRun.objects.filter(stop_requested=True).exists()


@pytest.fixture
def plan_of(under_way: CollectionRun) -> CollectionRun:
    collection.collect_garbage("default", dry_run=True)
    return CollectionRun.objects.first()


@pytest.mark.parametrize("rights", [(VIEW,), (VIEW, START), (VIEW, STOP)], ids="+".join)
def test_buttons_are_shown_to_whom_they_work_for(plan, rights):
    client = clerk(*rights)
    active = runs.begin("default", storages["default"], Order())

    assert ("Plan a collection" in text(client.get(url("changelist")))) == (START in rights)
    assert ("Run this for real" in text(client.get(url("change", plan.pk)))) == (START in rights)
    assert ("Stop…" in text(client.get(url("change", active.pk)))) == (STOP in rights)


@pytest.mark.parametrize("name", ["change", "progress", "objects", "approve", "stop"])
def test_a_run_that_is_not_there_is_not_found(admin_client, name):
    assert admin_client.get(url(name, 999)).status_code == 404


# Planning


@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "atomic-requests"])
@pytest.mark.django_db(transaction=True)
def test_a_plan_is_begun_and_logged_and_the_command_told_where_no_worker_is(storage, admin_client, monkeypatch, atomic):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)

    answer = admin_client.post(url("start"), {"storage": "default"})

    run = CollectionRun.objects.get()
    assert answer["Location"] == url("change", run.pk)
    assert (run.dry_run, run.started_by, run.state) == (True, "admin", State.PLANNING)
    command = f"manage.py consistent_s3 collect --run {run.pk}"
    assert said(admin_client.get(answer["Location"])) == [
        f"Collection {run.pk} has begun, and no Celery worker can be reached. Go on with it by: {command}"
    ]
    assert log() == [("admin", str(run.pk), "Planned.")]
    call_command(*command.split()[1:], verbosity=0)
    run.refresh_from_db()
    assert (run.state, run.summary["deleted"], numbers(storage)) == (State.DONE, 2, [3, 2, 1])


@pytest.fixture
def worker() -> Iterator[Celery]:
    """Configure a Celery app with a broker in memory; nobody takes its messages."""
    before = current_app._get_current_object()
    with Celery("own", broker="memory://") as app:
        messages_of(app)  # which an earlier test left: all such brokers of a process share their queues
        yield app
    before.set_current()


def messages_of(app: Celery) -> list[Any]:
    with app.connection_for_read() as broker:
        queue = broker.SimpleQueue("celery")
        found = []
        while queue.qsize():
            message = queue.get_nowait()
            message.ack()
            found.append((message.headers["task"], message.payload[0]))
        queue.close()
    return found


@pytest.mark.django_db(transaction=True)
def test_a_page_says_that_a_worker_goes_on(storage, admin_client, worker):
    answer = admin_client.post(url("start"), {"storage": "default"}, follow=True)

    run = CollectionRun.objects.get()
    assert said(answer) == [f"Collection {run.pk} has begun. A worker goes on with it."]
    messages_of(worker)


def test_a_worker_is_asked_after_the_commit_to_go_on(storage, admin_client, worker, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        admin_client.post(url("start"), {"storage": "default"})
        assert messages_of(worker) == []

    assert len(callbacks) == 1
    assert messages_of(worker) == [("consistent_s3.collect_slice", [CollectionRun.objects.get().pk])]


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:9/0", "amqp://127.0.0.1:9//", "filesystem://"])
def test_a_broker_that_does_not_answer_leaves_the_run_to_the_command(
    storage, admin_client, worker, broker, django_capture_on_commit_callbacks, caplog, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # the file broker has no directory here
    worker.conf.broker_url = broker

    with django_capture_on_commit_callbacks(execute=True):
        answer = admin_client.post(url("start"), {"storage": "default"}, follow=True)

    assert "collect --run" in text(answer)
    assert CollectionRun.objects.get().is_active
    assert "the broker does not answer" in caplog.text


def test_an_eager_project_has_the_plan_at_once(storage, admin_client, worker, django_capture_on_commit_callbacks):
    worker.conf.task_always_eager = True

    with django_capture_on_commit_callbacks(execute=True):
        admin_client.post(url("start"), {"storage": "default"})

    assert CollectionRun.objects.get().state == State.DONE


@pytest.mark.parametrize("data", [{}, {"storage": "staticfiles"}, {"storage": "typo"}], ids=str)
def test_a_plan_of_no_storage_is_refused(storage, admin_client, data):
    answer = admin_client.post(url("start"), data)

    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not CollectionRun.objects.exists()


def test_a_storage_that_cannot_be_collected_says_why(storage, settings, admin_client):
    inner = {**settings.STORAGES["default"]["OPTIONS"], "location": "inside", "retention": {"keep_last": 9}}
    settings.STORAGES = {**settings.STORAGES, "inner": {"BACKEND": BACKEND, "OPTIONS": inner}}

    answer = admin_client.post(url("start"), {"storage": "default"}, follow=True)

    assert "would apply its retention to the files of STORAGES['inner']" in said(answer)[0]
    assert not CollectionRun.objects.exists()


def test_the_start_page_tells_rules_and_what_is_wrong_with_a_storage(storage, settings, page):
    broken = {"BACKEND": BACKEND, "OPTIONS": {"bucket_name": "b", "retention": {"keep_lsat": 1}}}
    settings.STORAGES = {**settings.STORAGES, "broken": broken}

    shown = page("start")

    assert f"{storage.bucket_name}/ · keep_last: 1" in shown
    assert "keep_lsat" in shown


# Approving


def test_what_was_planned_is_told_plainly_before_it_is_done(plan, page):
    shown = page("approve", plan.pk)

    assert "2 objects (2.0 KB) of the storage “default” are deleted for good." in shown
    assert "It is made anew from the present state first" in shown
    assert "planned, by over 5 % of all objects, it is refused" in shown


def test_a_plan_is_run_for_real(plan, storage, admin_client):
    answer = admin_client.post(url("approve", plan.pk))

    run = CollectionRun.objects.first()
    assert answer["Location"] == url("change", run.pk)
    assert (run.approves, run.dry_run, run.started_by) == (plan, False, "admin")
    assert log() == [
        ("admin", str(run.pk), f"Runs collection {plan.pk} for real."),
        ("admin", str(plan.pk), f"Run for real, by collection {run.pk}."),
    ]
    collection.go_on(run)
    assert numbers(storage) == [3]
    assert f"Carries out collection {plan.pk}" in text(admin_client.get(url("change", run.pk)))
    assert f"Carried out by collection {run.pk}" in text(admin_client.get(url("change", plan.pk)))


def test_what_is_run_for_real_looks_where_the_plan_looked(configure, admin_client):
    storage = configure(index="database")
    storage.save("a.txt", ContentFile(b"x"))
    _age(2, storage)
    collection.collect_garbage("default", order=Order(dry_run=True, lists_bucket=False))

    admin_client.post(url("approve", CollectionRun.objects.get().pk))

    assert [run.lists_bucket for run in CollectionRun.objects.all()] == [False, False]


def _age(more: int, storage: ConsistentS3Storage) -> None:
    """Save more versions of a name, and make all look old."""
    from consistent_s3.models import StoredVersion

    for _ in range(more):
        storage.save("a.txt", ContentFile(b"x"))
    StoredVersion.objects.update(modified=OLD)


def test_a_refused_collection_is_run_for_real(configure, admin_client):
    storage = configure(retention={"keep_last": 1, "max_delete_ratio": 0.1})
    seed(storage, "a.txt", [1, 2, 3], modified=OLD)
    with pytest.raises(CollectionRefusedError):
        collection.collect_garbage("default")
    refused = CollectionRun.objects.get()

    shown = text(admin_client.get(url("change", refused.pk)))
    admin_client.post(url("approve", refused.pk))

    assert "2 of 3 objects would go, more than 10 %." in shown
    collection.go_on(CollectionRun.objects.first())
    assert numbers(storage) == [3]


def _other_policy(settings: Any) -> None:
    _with(settings, retention={"keep_last": 2})


def _other_place(settings: Any) -> None:
    _with(settings, location="elsewhere")


def _no_storage(settings: Any) -> None:
    settings.STORAGES = {"staticfiles": settings.STORAGES["staticfiles"]}


def _under_way(settings: Any) -> None:
    runs.begin("default", storages["default"], Order())


def _nothing_to_do(settings: Any) -> None:
    CollectionRun.objects.update(planned={"scanned": 3, "kept": 3})


def _not_ended(settings: Any) -> None:
    CollectionRun.objects.update(state=State.PLANNING, finished=None)


def _carried_out(settings: Any) -> None:
    CollectionRun.objects.update(dry_run=False)


def _with(settings: Any, **options: Any) -> None:
    options = {**settings.STORAGES["default"]["OPTIONS"], **options}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}


@pytest.mark.parametrize(
    ("happened", "obstacle"),
    [
        (_other_policy, "The retention policy was changed since this was planned. Plan another collection."),
        (_other_place, "The storage keeps its files at another place by now. Plan another collection."),
        (_no_storage, "'default' is no storage that keeps versions. STORAGES has these: none."),
        (_under_way, "is under way there. Let it end, or stop it."),
        (_nothing_to_do, "Nothing would go by this plan."),
        (_not_ended, "Only a finished dry run, or a collection that was refused, can be run for real."),
        (_carried_out, "Only a finished dry run, or a collection that was refused, can be run for real."),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_nobody_looked_at_is_not_run_for_real(plan, settings, admin_client, happened, obstacle):
    happened(settings)
    before = CollectionRun.objects.count()

    asked = admin_client.get(url("approve", plan.pk))
    answer = admin_client.post(url("approve", plan.pk), follow=True)

    assert obstacle in asked.context["obstacle"]
    assert "<form method" not in asked.content.decode().partition('id="content-main"')[2]
    assert obstacle in said(answer)[0]
    assert CollectionRun.objects.count() == before


def test_who_is_second_is_told_of_the_first(plan, admin_client, monkeypatch):
    """Between the look and the beginning somebody else has begun: the database says so."""
    first = runs.begin("default", storages["default"], Order())
    monkeypatch.setattr("consistent_s3.approving.obstacle", lambda run: "")

    answer = admin_client.post(url("approve", plan.pk), follow=True)

    assert said(answer) == [f"Collection {first.pk} is under way there. Let it end, or stop it."]
    assert log() == []


# Stopping


def test_a_run_that_nobody_works_on_stops_at_once(under_way, storage, admin_client):
    answer = admin_client.post(url("stop", under_way.pk), follow=True)

    under_way.refresh_from_db()
    assert (under_way.state, under_way.message) == (State.STOPPED, runs.STOPPED)
    assert said(answer) == [f"Collection {under_way.pk} has stopped."]
    assert log() == [("admin", str(under_way.pk), "Asked it to stop.")]
    assert numbers(storage) == [3, 2, 1]


def test_a_run_that_a_worker_is_at_stops_when_that_comes_to_it(under_way, storage, admin_client):
    claimed = runs.claim(under_way)

    answer = admin_client.post(url("stop", under_way.pk), follow=True)

    assert said(answer) == [f"Collection {under_way.pk} stops after the objects that it is at."]
    assert "sweeping, to be stopped" in text(answer)
    under_way.refresh_from_db()
    assert under_way.is_active
    runs.work(claimed, storage)
    under_way.refresh_from_db()
    assert (under_way.state, under_way.message) == (State.STOPPED, runs.STOPPED)


def test_what_a_dead_worker_was_at_is_given_to_another_before_the_run_stops(under_way, storage, admin_client, worker):
    begun = ["a.txt", 1, storage.archive.layout.version_key("a.txt", 1), 1024, True, str(Reason.SUPERSEDED), ""]
    CollectionSlice.objects.update(intended=[begun], owner="dead", leased_until=OLD)

    admin_client.post(url("stop", under_way.pk))

    under_way.refresh_from_db()
    assert under_way.is_active
    assert messages_of(worker) == [("consistent_s3.collect_slice", [under_way.pk])]
    collection.go_on(under_way)
    assert (under_way.state, under_way.summary["deleted"]) == (State.STOPPED, 1)


def test_a_run_of_a_storage_that_is_there_no_more_can_be_stopped(under_way, settings, admin_client):
    _no_storage(settings)

    admin_client.post(url("stop", under_way.pk))

    under_way.refresh_from_db()
    assert under_way.state == State.STOPPED


def test_a_run_that_has_ended_is_not_stopped(plan, admin_client):
    answer = admin_client.post(url("stop", plan.pk), follow=True)

    assert said(answer) == [f"Collection {plan.pk} has ended already."]
    collection.stop(plan)  # as if it had ended between the look and the request
    plan.refresh_from_db()
    assert (plan.stop_requested, log()) == (False, [])


# How far it is


def sweeping(plan: CollectionRun, scanned: int, *, seconds: float = 10) -> CollectionRun:
    """Make a run that is under way and has come so far of 1,000,000 objects."""
    started = datetime.now(UTC) - timedelta(seconds=seconds)
    run = CollectionRun.objects.create(
        storage="default",
        place=plan.place,
        state=State.SWEEPING,
        planned={"scanned": 1_000_000},
        started=started - timedelta(hours=1),
        swept_from=started,
    )
    counted = {"scanned": scanned // 2, "deleted": 1_000, "bytes_freed": 1024**2, "kept": 9, "error_count": 1}
    rows = [CollectionSlice(run=run, sweeps=True, counted=counted) for _ in range(2)]
    CollectionSlice.objects.bulk_create([*rows, CollectionSlice(run=run, sweeps=False, counted={"scanned": 77})])
    return run


def test_live_progress_tells_counts_rate_and_end(plan, admin_client):
    run = sweeping(plan, 250_000, seconds=100)

    answer = admin_client.get(url("progress", run.pk))

    told = answer.json()
    assert "no-store" in answer["Cache-Control"]
    assert (told["active"], told["state"], told["percent"]) == (True, "sweeping", 25)
    assert told["sentence"] == "sweeping, 20 % done"
    assert {
        name: text.replace("\xa0", " ") for name, text in told["figures"].items() if name not in {"rate", "end"}
    } == {
        "percent": "25 %",
        "scanned": "250,000",
        "kept": "18",
        "deleted": "2,000",
        "freed": "2.0 MB",
        "errors": "2",
    }
    least = 250_000 / (datetime.now(UTC) - run.swept_from).total_seconds()
    assert least - 1 <= int(told["figures"]["rate"].replace(",", "")) <= 2_500
    assert told["figures"]["end"] not in {"", "not known yet"}


def test_the_estimate_follows_from_the_rate(plan):
    from consistent_s3.progress import progress

    run = sweeping(plan, 250_000, seconds=100)

    told = progress(run)

    assert told.estimated_end is not None
    took = told.now - run.swept_from
    assert took >= timedelta(seconds=100)
    assert abs(told.estimated_end - told.now - 3 * took) < timedelta(seconds=1)


def test_a_run_is_never_done_before_it_has_ended(plan, admin_client):
    assert admin_client.get(url("progress", sweeping(plan, 2_000_000).pk)).json()["percent"] == 99


def test_while_it_is_planned_nobody_knows_the_whole(storage, admin_client):
    run = runs.begin("default", storage, Order())

    told = admin_client.get(url("progress", run.pk)).json()

    assert (told["percent"], told["sentence"]) == (None, "planning")
    assert (told["figures"]["rate"], told["figures"]["end"]) == ("–", "not known yet")


def test_what_runs_without_a_plan_is_measured_by_what_it_carries_out(plan, storage, admin_client):
    run = runs.begin("default", storage, Order(approves=plan, max_delete_ratio=1))
    CollectionSlice.objects.update(counted={"scanned": 2})

    assert admin_client.get(url("progress", run.pk)).json()["percent"] == 66


# Pages


def test_the_list_tells_what_went_and_what_only_would(plan, admin_client):
    collection.collect_garbage("default", order=Order(max_delete_ratio=1))
    for run, seconds in zip(CollectionRun.objects.order_by("pk"), (2, 3), strict=True):
        run.finished = (run.swept_from or run.started) + timedelta(seconds=seconds)
        run.save()

    shown = text(admin_client.get(url("changelist")))

    assert f"Dry run {plan.pk} of “default” done 2 s 2 would go, 2.0 KB 0" in shown
    assert "of “default” done 3 s 2 went, 2.0 KB 0" in shown


def test_a_run_tells_counts_reasons_and_policy(plan, page):
    shown = page("change", plan.pk)

    assert "Looked at 3 Stay 1 Would go 2 Would be freed 2.0 KB Errors 0" in shown
    assert "current 1 superseded, and no rule keeps it 2" in shown
    assert "keep_last 1" in shown
    assert "Browse what would go" in shown


def test_a_run_tells_what_the_store_kept(plan, page):
    errors = [{"key": f"k{number}", "code": "AccessDenied", "message": "<b>no</b>"} for number in range(100)]
    CollectionRun.objects.update(summary={**plan.summary, "errors": errors, "error_count": 1234})

    shown = page("change", plan.pk)

    assert "the first 100 of 1234 Key Code Message k0 AccessDenied &lt;b&gt;no&lt;/b&gt;" in shown


def test_a_run_that_nobody_works_on_says_how_to_go_on(under_way, page):
    command = f"manage.py consistent_s3 collect --run {under_way.pk}"
    alone = page("change", under_way.pk)
    runs.claim(under_way)

    assert command in alone
    assert command not in page("change", under_way.pk)
    CollectionSlice.objects.update(leased_until=datetime.now(UTC) - LEASE)
    assert command in page("change", under_way.pk)


@pytest.fixture
def many(plan: CollectionRun) -> CollectionRun:
    """Make a plan of 12,345 objects, of which the first 250 were kept."""
    CollectedObject.objects.all().delete()
    CollectedObject.objects.bulk_create(
        [
            CollectedObject(
                run=plan,
                name="" if number == 3 else f"dir/{number}_%.txt",
                number=number,
                key=f"key-{number}",
                size=1024,
                reason=str(Reason.DELETED if number % 2 else Reason.SUPERSEDED),
                storage_class="GLACIER" if number == 4 else "",
            )
            for number in range(250)
        ]
    )
    CollectionRun.objects.update(summary={**plan.summary, "deleted": 12_344, "archived": 1})
    return plan


def test_the_objects_of_a_plan_are_shown_in_pages_and_what_is_left_out_is_said(many, page):
    first, last = page("objects", many.pk), page("objects", many.pk, query="?page=3")

    assert "These are the first 250 of 12,345." in first
    assert "250 objects Name Version Size What Why dir/0_%.txt no version 1.0 KB goes superseded, and no rule" in first
    assert "key-3 3 1.0 KB goes deleted, and no rule keeps it" in first
    assert "dir/4_%.txt 4 1.0 KB moves to GLACIER" in first
    assert (first.count(".txt"), last.count(".txt")) == (PAGE - 1, 50)
    assert ("Page 1 of 3 Next" in first, "Previous Page 3 of 3" in last) == (True, True)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?q=DIR/24_", 1),
        ("?q=%25", 249),
        ("?q=nothing", 0),
        ("?q=%00", 250),
        ("?reason=deleted%2C+and+no+rule+keeps+it", 125),
        ("?reason=deleted%2C+and+no+rule+keeps+it&q=dir/2", 30),
        ("?reason=typo", 0),
        ("?page=999", 250),
        ("?page=x", 250),
    ],
)
def test_the_objects_of_a_plan_are_found_by_name_and_reason(many, admin_client, query, count):
    answer = admin_client.get(url("objects", many.pk) + query)

    assert answer.context["page"].paginator.count == count
    assert ("Nothing is like that." in text(answer)) == (count == 0)


def test_uploaded_marks_are_never_markup(plan, admin_client):
    evil = "<script>alert(1)</script>"
    CollectedObject.objects.update(name=evil, key=evil)
    CollectionRun.objects.update(
        started_by=evil, message=evil, policy={evil: evil}, summary={**plan.summary, "reasons": {evil: 1}}
    )

    for name, args in [("changelist", []), ("change", [plan.pk]), ("objects", [plan.pk]), ("history", [plan.pk])]:
        assert evil not in admin_client.get(url(name, *args)).content.decode()


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as caught:
        assert client.get(address).status_code == 200
    return len(caught)


def test_the_number_of_queries_does_not_depend_on_how_much_there_is(plan, admin_client):
    sweeping(plan, 1000)
    pages = [url("changelist"), url("change", plan.pk), url("objects", plan.pk), url("totals")]
    few = [queries(admin_client, address) for address in pages]

    for _ in range(30):
        sweeping(plan, 1000)
    CollectedObject.objects.bulk_create(
        [CollectedObject(run=plan, name=f"{number}", key="k", size=1, reason="grace") for number in range(500)]
    )

    assert [queries(admin_client, address) for address in pages] == few
    assert max(few) <= 14


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_words(reason):
    assert words(reason) == str(WORDS[reason]) != ""
    assert words("typo") == "typo"


# What storages keep


def test_totals_tell_bytes_and_the_largest_names_from_the_rows(configure, page):
    storage = configure(index="database", location="docs")
    for size in (1024, 2048, 4096):
        storage.save("big.txt", ContentFile(b"x" * size))
    storage.save("gone.txt", ContentFile(b"x" * 512))
    storage.delete("gone.txt")
    storage.save("small.txt", ContentFile(b"x" * 10))

    shown = page("totals")

    assert "Current 4.0 KB 2 versions Noncurrent 3.5 KB 3 versions Names 3 1 of them deleted" in shown
    assert "big.txt 2 3.0 KB gone.txt 1 512 bytes" in shown
    assert "small.txt" not in shown
    assert "No collection of this storage has ended yet." in shown


def test_totals_of_a_storage_are_its_own(configure, settings, page):
    storage = configure(index="database", location="docs")
    _with_another = {**settings.STORAGES["default"]["OPTIONS"], "location": "other"}
    settings.STORAGES = {**settings.STORAGES, "other": {"BACKEND": BACKEND, "OPTIONS": _with_another}}
    for size in (10, 20):
        storages["other"].save("other.txt", ContentFile(b"x" * size))
        storage.save("mine.txt", ContentFile(b"x" * size))

    assert "Noncurrent 10 bytes 1 version Names 1" in page("totals", query="?storage=other")
    assert "mine.txt" not in page("totals", query="?storage=other")
    assert "other.txt" not in page("totals")


def test_without_rows_the_last_collection_is_told_and_what_is_missing(plan, page):
    shown = page("totals")

    assert 'This storage has index="listing": nobody knows its bytes' in shown
    assert "Last plan:" in shown
    assert "Names 1 Stay 1 Would go 2 Would be freed 2.0 KB" in shown


def test_totals_of_a_storage_that_is_not_there_are_not_found(storage, admin_client):
    assert admin_client.get(url("totals") + "?storage=typo").status_code == 404


def test_totals_of_a_storage_that_is_wrong_say_so(settings, page):
    broken = {"BACKEND": BACKEND, "OPTIONS": {"bucket_name": "b", "retention": {"keep_lsat": 1}}}
    settings.STORAGES = {"staticfiles": settings.STORAGES["staticfiles"], "broken": broken}

    assert "keep_lsat" in page("totals")


def test_a_project_without_versions_is_told_so(settings, page):
    _no_storage(settings)

    assert "No storage in STORAGES keeps versions." in page("totals")
    assert "No storage in STORAGES keeps versions." in page("start")
