"""What are the reasons for which something stays or goes called in people's own language?"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from consistent_s3.core.retention import Reason

WORDS = {
    Reason.CURRENT: _("current"),
    Reason.HELD: _("a hold covers it"),
    Reason.REFERENCED: _("a row points to it"),
    Reason.KEEP_LAST: _("one of the newest (keep_last)"),
    Reason.KEEP_FOR: _("was current not long ago (keep_for)"),
    Reason.TIER: _("stands for its period in a tier"),
    Reason.GRACE: _("was current a moment ago (grace)"),
    Reason.NO_POLICY: _("no retention policy"),
    Reason.UNDER_TOMBSTONE: _("versions under the deletion are left"),
    Reason.SUPERSEDED: _("superseded, and no rule keeps it"),
    Reason.DELETED: _("deleted, and no rule keeps it"),
    Reason.LAST_TOMBSTONE: _("a deletion with nothing under it"),
    Reason.HOLDS_NUMBER: _("keeps the number from being used again"),
    Reason.TOMBSTONE_FOR: _("was deleted not long ago (tombstone_for)"),
    Reason.POINTED_TO: _("a version that stays points to this body"),
    Reason.LOCKED: _("the store keeps it locked"),
    Reason.COMMITTED: _("the index knows it by now"),
    Reason.UNCOMMITTED: _("was never saved to its end: the index does not know it"),
    Reason.NOT_INDEXED: _("the index does not know it and may be incomplete: run reindex"),
    Reason.UNREFERENCED_BODY: _("no version points to this body"),
    Reason.HINT: _("the name is, or lately was, deleted"),
    Reason.STALE_HINT: _("a hint that no deletion needs"),
}


def words(reason: str) -> str:
    """Return what a reason is called in the language of the page; itself if it is none of ours."""
    try:
        return str(WORDS[Reason(reason)])
    except ValueError:
        return reason
