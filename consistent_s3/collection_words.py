"""What is told of a collection, in the language of the page?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from consistent_s3.core.fates import Summary
from consistent_s3.local_times import moment
from consistent_s3.models import CollectionRun
from consistent_s3.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number that changes while a run is under way."""

    key: str
    """What a page finds it by."""
    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that is told of a run once."""

    label: str
    text: str


def number(value: float) -> str:
    """Return a number as people write it."""
    return number_format(value, force_grouping=True)


def took(told: Progress) -> str:
    """Return how long a run takes by now, or took."""
    seconds = int(told.elapsed.total_seconds())
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    if minutes:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": seconds % 60}
    return _("%(seconds)d s") % {"seconds": seconds}


def sentence(told: Progress) -> str:
    """Return in a few words how far a run is; so coarse that hearing each change is no nuisance."""
    state = told.run.get_state_display()
    if told.run.is_active and told.run.stop_requested:
        return _("%(state)s, to be stopped") % {"state": state}
    if not told.run.is_active or told.percent is None:
        return state
    return _("%(state)s, %(percent)d %% done") % {"state": state, "percent": told.percent // 10 * 10}


def figures(told: Progress) -> list[Figure]:
    """Return the numbers of a run that people look at first."""
    counted = told.counted
    size = filesizeformat(counted.bytes_freed)
    rows = [
        ("scanned", _("Looked at"), number(counted.scanned)),
        ("kept", _("Stay"), number(counted.kept)),
        ("deleted", _("Would go") if told.is_plan else _("Deleted"), number(counted.deleted)),
        ("freed", _("Would be freed") if told.is_plan else _("Freed"), size),
        ("errors", _("Errors"), number(counted.error_count)),
        ("rate", _("Objects a second"), "–" if told.rate is None else _rate(told.rate)),
    ]
    if counted.archived:
        moved = _("Would be archived") if told.is_plan else _("Archived")
        rows.insert(4, ("archived", moved, number(counted.archived)))
    if told.run.is_active:
        percent = "–" if told.percent is None else _("%(percent)d %%") % {"percent": told.percent}
        rows.insert(0, ("percent", _("Done"), percent))
        rows.append(("end", _("Ends about"), _end(told)))
    return [Figure(key=key, label=label, text=text) for key, label, text in rows]


def facts(told: Progress) -> list[Fact]:
    """Return what else is to be said of a run."""
    run = told.run
    limits = []
    if run.max_delete_ratio is not None and run.max_delete_ratio < 1:
        limits.append(_("refused beyond %(percent)d %% of all objects") % {"percent": run.max_delete_ratio * 100})
    if run.max_objects is not None:
        limits.append(
            ngettext("stops after %(count)d object", "stops after %(count)d objects", run.max_objects)
            % {"count": run.max_objects}
        )
    if run.stops_at is not None:
        limits.append(_("stops at %(moment)s") % {"moment": moment(run.stops_at)})
    rows = [
        (_("Storage"), run.storage),
        (_("Place"), run.place),
        (_("What"), _("Dry run: nothing is deleted") if run.dry_run else _("Collection")),
        (_("Looks through"), _("the bucket") if run.lists_bucket else _("the rows of the index")),
        (_("Limits"), ", ".join(limits)),
        (_("Started by"), run.started_by),
        (_("Started"), moment(run.started)),
        (_("Deleting since"), moment(run.swept_from) if run.swept_from else ""),
        (_("Ended"), moment(run.finished) if run.finished else ""),
        (_("Took"), took(told) if run.finished else ""),
        (_("Unfinished uploads aborted"), number(told.counted.uploads_aborted) if told.counted.uploads_aborted else ""),
    ]
    return [Fact(label=label, text=text) for label, text in rows if text]


def ending(run: CollectionRun) -> str:
    """Return why a run stopped or was refused, in the language of the page; of other ends the text that is kept."""
    if run.state == CollectionRun.State.REFUSED:
        planned = Summary.from_dict(run.planned)
        return _(
            "%(go)s of %(all)s objects would go, more than %(percent)s %%. Nothing was deleted. Look at the plan. If "
            "it is what you want, run it for real; if not, correct the retention policy."
        ) % {
            "go": number(planned.deleted),
            "all": number(planned.deleted + planned.kept),
            "percent": _percent(run.max_delete_ratio or 0),
        }
    if run.state != CollectionRun.State.STOPPED:
        return run.message
    if run.stop_requested:
        return _("Stopped on request. Everything else is left for the next collection.")
    if run.stops_at is not None and run.finished is not None and run.finished >= run.stops_at:
        return _("Its time was over. Everything else is left for the next collection.")
    return ngettext(
        "It was to stop after %(count)s object. Everything else is left for the next collection.",
        "It was to stop after %(count)s objects. Everything else is left for the next collection.",
        run.max_objects or 0,
    ) % {"count": number(run.max_objects or 0)}


def rules(policy: Mapping[str, Any]) -> list[Fact]:
    """Return a retention policy as it is kept with a run, a line for each rule."""
    return [
        Fact(label=word, text=value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for word, value in policy.items()
    ]


def _percent(part: float) -> str:
    percent = round(100 * part, 2)
    return number(int(percent) if percent.is_integer() else percent)


def _end(told: Progress) -> str:
    if told.estimated_end is None:
        return _("not known yet")
    soon = told.estimated_end - told.now < timedelta(hours=12)
    return moment(told.estimated_end, "TIME_FORMAT" if soon else "DATETIME_FORMAT")


def _rate(rate: float) -> str:
    return number(round(rate)) if rate >= 10 else number_format(rate, decimal_pos=1)
