"""May what a plan said be carried out now?"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from consistent_s3 import collection, policies, runs
from consistent_s3.core.fates import Summary
from consistent_s3.models import CollectionRun, digest

State = CollectionRun.State


def obstacle(run: CollectionRun) -> str:
    """Return why nobody may carry out what this run planned; empty if somebody may.

    What somebody has looked at must be what is done: the same place, the same rules.
    """
    if not is_plan(run):
        return _("Only a finished dry run, or a collection that was refused, can be run for real.")
    planned = Summary.from_dict(run.planned)
    if not planned.deleted and not planned.archived:
        return _("Nothing would go by this plan.")
    try:
        storage = collection.versioned_storage(run.storage)
    except ImproperlyConfigured as error:
        return str(error)
    if runs.place_of(storage) != run.place:
        return _("The storage keeps its files at another place by now. Plan another collection.")
    if policies.told(storage) != run.policy:
        return _("The retention policy was changed since this was planned. Plan another collection.")
    active = CollectionRun.objects.filter(active=digest(run.place)).first()
    if active is not None:
        return _("Collection %(number)d is under way there. Let it end, or stop it.") % {"number": active.pk}
    return ""


def is_plan(run: CollectionRun) -> bool:
    """Return whether a run has planned to its end and carried nothing out."""
    return run.state == State.REFUSED or (run.dry_run and run.state == State.DONE)
