"""Times as people read them where they are, whatever `USE_TZ` says: `{{ version.modified|moment:"DATE_FORMAT" }}`."""

from __future__ import annotations

from datetime import datetime

from django import template

from consistent_s3 import local_times

register = template.Library()


@register.filter
def moment(when: datetime | None, style: str = "DATETIME_FORMAT") -> str:
    """Return a time in one of Django's formats; nothing of nothing."""
    return local_times.moment(when, style) if when else ""
