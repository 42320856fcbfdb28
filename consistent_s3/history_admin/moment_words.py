"""What a step back to a moment is called in the language of the page."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consistent_s3.core.rewinding import Action, Step, Why

WORDS = {
    Why.SAME: gettext_lazy("It is as it was."),
    Why.SAME_BYTES: gettext_lazy("It has the same bytes again."),
    Why.STILL_DELETED: gettext_lazy("It was deleted then, and is deleted now."),
    Why.STILL_MISSING: gettext_lazy("It did not exist then, and is deleted now."),
    Why.CHANGED: gettext_lazy("It was replaced since."),
    Why.DELETED_SINCE: gettext_lazy("It was deleted since."),
    Why.WAS_DELETED: gettext_lazy("It was deleted then."),
    Why.DID_NOT_EXIST: gettext_lazy("It did not exist then."),
    Why.COLLECTED: gettext_lazy("What was current then is collected."),
    Why.ERASED: gettext_lazy("It was erased."),
    Why.NO_VERSIONS: gettext_lazy("It was never written, or nothing is left of it."),
    Why.NO_FILE: gettext_lazy("It has no file, and which one it had is not kept."),
    Why.SHARED: gettext_lazy("Another row has the same file, and would lose it."),
}


def why(step: Step) -> str:
    """Return the reason of a step as a sentence; with the number of what is gone, where something is."""
    said = str(WORDS[step.why])
    if step.why is Why.COLLECTED:
        said += " " + _("Version %(number)d, or one before it, was current then and is gone.") % {
            "number": step.collected
        }
    return said


def what(step: Step) -> str:
    """Return what is going to happen, in a few words."""
    if step.action is Action.RESTORE and step.then:
        return _("Version %(number)d comes back") % {"number": step.then.number}
    return {
        Action.DELETE: _("Is deleted, which can be undone"),
        Action.NOTHING: _("Nothing"),
        Action.CANNOT: _("Cannot be brought back"),
    }.get(step.action, "")


def done(step: Step, number: int, moment: str) -> str:
    """Return what was done with a file; `number` is that of the version that was written."""
    if step.action is Action.RESTORE and step.then:
        return _("Restored version %(number)d of “%(name)s” as version %(new)d: as it was at %(moment)s.") % {
            "number": step.then.number,
            "name": step.name,
            "new": number,
            "moment": moment,
        }
    return _("Deleted “%(name)s”: as it was at %(moment)s.") % {"name": step.name, "moment": moment}


def told(moment: datetime) -> str:
    """Return a moment as people read it, where the user is, with the time zone."""
    local = timezone.localtime(moment)
    return f"{date_format(local, 'DATE_FORMAT')} {local:%H:%M:%S} {local:%Z}"
