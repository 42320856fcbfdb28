"""An application of the library whose aggregates live on a real S3 server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import (
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    NotSupportedError,
)

from consistent_s3.eventsourcing import S3Factory, S3SnapshotRecorder
from consistent_s3.streams import event_store


class Account(Aggregate):
    @event("Opened")
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.balance = 0

    @event("Paid")
    def pay_in(self, amount: int) -> None:
        self.balance += amount


class Bank(Application):
    snapshotting_intervals = {Account: 5}


@pytest.fixture
def bank(environment) -> Bank:
    return Bank(env={**environment, "IS_SNAPSHOTTING_ENABLED": "y"})


def opened(bank: Bank, *amounts: int) -> Account:
    account = Account(owner="ann")
    bank.save(account)
    for amount in amounts:
        account.pay_in(amount)
        bank.save(account)
    return account


def test_what_was_saved_is_found_by_another_process(environment, bank):
    account = opened(bank, 10, 20)

    found = Bank(env=environment).repository.get(account.id)

    assert (found.owner, found.balance, found.version) == ("ann", 30, 3)
    assert bank.repository.get(account.id, version=2).balance == 10
    with pytest.raises(AggregateNotFoundError):
        bank.repository.get(uuid4())


def test_snapshots_are_taken_and_used(bank):
    account = opened(bank, *[1] * 11)

    newest = bank.snapshots.recorder.select_events(account.id, desc=True, limit=1)
    replayed = bank.events.recorder.select_events(account.id, gt=newest[0].originator_version)

    assert isinstance(bank.snapshots.recorder, S3SnapshotRecorder)
    assert newest[0].originator_version == 10
    assert [stored.originator_version for stored in replayed] == [11, 12]
    assert bank.repository.get(account.id).balance == 11


def test_second_of_two_savers_is_told(environment, bank):
    account = opened(bank)
    first, second = bank.repository.get(account.id), Bank(env=environment).repository.get(account.id)
    first.pay_in(1)
    second.pay_in(2)
    bank.save(first)

    with pytest.raises(IntegrityError, match=r"is at version 2"):
        Bank(env=environment).save(second)

    assert bank.repository.get(account.id).balance == 1


def test_racing_payments_are_all_there_once(environment, bank):
    account = opened(bank)

    def pay(_: int) -> None:
        mine = Bank(env=environment)
        while True:
            found = mine.repository.get(account.id)
            found.pay_in(1)
            try:
                mine.save(found)
            except IntegrityError:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(pay, range(8)))

    assert bank.repository.get(account.id).balance == 8


def test_two_aggregates_in_one_save_are_refused_and_neither_is_kept(bank):
    one, two = Account(owner="ann"), Account(owner="bob")

    with pytest.raises(NotSupportedError, match="Save them one by one"):
        bank.save(one, two)

    for account in (one, two):
        with pytest.raises(AggregateNotFoundError):
            bank.repository.get(account.id)


def test_notification_log_is_refused(bank):
    with pytest.raises(NotSupportedError, match="There is no order between the aggregates"):
        bank.notification_log["1,10"]


def test_encrypted_state_is_kept(environment):
    from eventsourcing.cipher import AESCipher

    bank = Bank(env={**environment, "CIPHER_KEY": AESCipher.create_key(16), "COMPRESSOR_TOPIC": "zlib"})

    assert bank.repository.get(opened(bank, 5).id).balance == 5


def test_applications_of_one_bucket_are_kept_apart(environment):
    class Shop(Bank):
        name = "shop"

    account = opened(Bank(env=environment))

    with pytest.raises(AggregateNotFoundError):
        Shop(env=environment).repository.get(account.id)


def test_django_storage_gives_the_bucket(default_storage, environment):
    bank = Bank(env={"PERSISTENCE_MODULE": "consistent_s3.eventsourcing", "S3_STORAGE": "default"})

    account = opened(bank, 3)

    assert bank.repository.get(account.id).balance == 3
    assert list(event_store("default").streams("bank_events")) == [str(account.id)]


@pytest.mark.parametrize("named", [{}, {"S3_BUCKET": "a", "S3_STORAGE": "b"}], ids=["neither", "both"])
def test_environment_that_names_no_place_is_refused(named):
    with pytest.raises(InfrastructureFactoryError, match="Set one of them: a bucket's name, or an alias"):
        Bank(env={"PERSISTENCE_MODULE": "consistent_s3.eventsourcing", **named})


@pytest.mark.parametrize("name", ["S3_PREFIX", "S3_ENDPOINT_URL", "S3_REGION"])
def test_what_a_storage_says_already_is_refused(default_storage, name):
    environment = {"PERSISTENCE_MODULE": "consistent_s3.eventsourcing", "S3_STORAGE": "default", name: "other"}

    with pytest.raises(InfrastructureFactoryError) as refused:
        Bank(env=environment)

    assert str(refused.value) == (
        f"S3_STORAGE is 'default', whose options say where streams are, so {name} would mean nothing. "
        "Leave it out, or name a bucket with S3_BUCKET."
    )


def test_factory_has_no_recorders_that_need_an_order(environment):
    factory = InfrastructureFactory.construct(environment)

    assert type(factory) is S3Factory
    with pytest.raises(NotSupportedError, match="There is no order"):
        factory.tracking_recorder()
    with pytest.raises(NotSupportedError, match="There is no order"):
        factory.process_recorder()
