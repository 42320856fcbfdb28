"""Rows under django-reversion: what comes back when a row is reverted or recovered."""

from __future__ import annotations

import re

import pytest
import reversion
from django.urls import reverse
from reversion.models import Version as RowVersion

from tests.coexistence.conftest import body
from tests.coexistence.office.models import Contract, Leaflet

pytestmark = [
    pytest.mark.django_db,
    # What newer Djangos deprecate of django-unfold.
    pytest.mark.filterwarnings("ignore:Overriding get_action_choices"),
]


def row_versions(row):
    """Return what django-reversion keeps of a row, oldest first."""
    return list(RowVersion.objects.get_for_object(row).order_by("pk"))


def badges(page: str) -> dict[str, list[str]]:
    """Return the badges of each version on a history page."""
    rows = re.findall(r'<th scope="row" class="consistent-s3-number">(\d+)(.*?)</th>', page, re.DOTALL)
    return {number: re.findall(r'class="consistent-s3-badge[ "][^>]*>([^<]+)<', rest) for number, rest in rows}


def test_reverting_a_row_brings_the_right_bytes_back(office):
    contract = office.add(Contract, "Rent: 900")
    office.replace(contract, "Rent: 9000, a mistake")
    first, second = row_versions(contract)

    office.send(office.address(Contract, "revision", contract.pk, first.pk))

    contract.refresh_from_db()
    assert (contract.file_version, body(contract.file), contract.file.size) == (1, "Rent: 900", 9)
    assert contract.file.url == contract.file.storage.url(contract.file.name, version=1)
    assert second.field_dict["file_version"] == 2
    assert badges(office.look(Contract, "versions", contract.pk, "file")) == {"2": ["current"], "1": ["in use"]}


def test_the_page_before_reverting_shows_the_version_that_would_come_back(office):
    contract = office.add(Contract, "Rent: 900")
    office.replace(contract, "Rent: 9000, a mistake")

    page = office.look(Contract, "revision", contract.pk, row_versions(contract)[0].pk)

    assert "Version 1, 9\xa0bytes, by admin" in page
    contract.refresh_from_db()
    assert contract.file_version == 2


def test_a_reverted_row_is_replaced_on_top_of_everything(office):
    contract = office.add(Contract, "Rent: 900")
    office.replace(contract, "Rent: 9000, a mistake")
    office.send(office.address(Contract, "revision", contract.pk, row_versions(contract)[0].pk))

    office.replace(contract, "Rent: 950")

    assert (contract.file_version, body(contract.file)) == (3, "Rent: 950")


def test_reverting_a_row_that_is_not_pinned_leaves_the_newest_bytes(office):
    leaflet = office.add(Leaflet, "Open from 9")
    office.replace(leaflet, "Open from 10")

    office.send(office.address(Leaflet, "revision", leaflet.pk, row_versions(leaflet)[0].pk))

    leaflet.refresh_from_db()
    assert body(leaflet.file) == "Open from 10"


def test_a_deleted_row_is_recovered_with_its_bytes(office):
    contract = office.add(Contract, "Rent: 900")
    office.replace(contract, "Rent: 950")
    office.post(office.address(Contract, "delete", contract.pk), post="yes")
    assert not Contract.objects.exists()
    deleted = RowVersion.objects.get_deleted(Contract).get()
    assert "Lease" in office.look(Contract, "recoverlist")

    office.send(office.address(Contract, "recover", deleted.pk))

    contract = Contract.objects.get()
    assert (contract.file_version, body(contract.file)) == (2, "Rent: 950")


def test_a_recovered_row_reads_its_bytes_though_its_file_was_deleted(office, default_storage):
    contract = office.add(Contract, "Rent: 900")
    contract.file.delete(save=False)
    contract.delete()

    office.send(office.address(Contract, "recover", RowVersion.objects.get_deleted(Contract).get().pk))

    contract = Contract.objects.get()
    assert not default_storage.exists(contract.file.name)
    assert body(contract.file) == "Rent: 900"


def test_restoring_a_version_is_a_revision_of_the_row(office):
    contract = office.add(Contract, "Rent: 900")
    office.replace(contract, "Rent: 9000, a mistake")

    office.post(
        office.address(Contract, "version_restore", contract.pk, "file", 1), expected="2", comment="wrong upload"
    )

    contract.refresh_from_db()
    *_, last = row_versions(contract)
    assert (contract.file_version, body(contract.file)) == (3, "Rent: 900")
    assert (last.field_dict["file_version"], last.revision.user.get_username()) == (3, "admin")


def test_a_revision_in_code_brings_the_right_bytes_back(office):
    contract = office.add(Contract, "Rent: 900")
    with reversion.create_revision():
        contract.title = "Lease of the north wing"
        contract.save()
    office.replace(contract, "Rent: 950")

    row_versions(contract)[1].revision.revert()

    contract.refresh_from_db()
    assert (contract.title, contract.file_version, body(contract.file)) == ("Lease of the north wing", 1, "Rent: 900")


def test_django_reversions_own_pages_are_there(office):
    contract = office.add(Contract, "Rent: 900")

    assert "Choose a date from the list below to revert" in office.look(Contract, "history", contract.pk)
    assert reverse("admin:office_contract_recoverlist") in office.look(Contract, "changelist")
    assert office.address(Contract, "versions", contract.pk, "file") in office.look(Contract, "change", contract.pk)
