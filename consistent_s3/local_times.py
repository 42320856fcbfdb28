"""What time is it where the user is? One answer for pages, forms and filters, whatever `USE_TZ` says.

1. Aware times are told in the current time zone. Naive ones are local already, as Django keeps them without `USE_TZ`;
   those of the rows of names and versions are not, see `consistent_s3.index.row_times`.
2. A day is what the calendar there says; its beginning and its end are aware.
3. Every day can be asked for; one beyond `EARLIEST` or `LATEST` counts as that.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.utils import timezone
from django.utils.formats import date_format

from consistent_s3.core.seams import SystemClock

EARLIEST, LATEST = date(1, 1, 3), date(9999, 12, 28)
"""The first and the last day whose beginning and end can be told in every time zone."""


def moment(when: datetime, style: str = "DATETIME_FORMAT") -> str:
    """Return a time as people read it."""
    return date_format(timezone.localtime(when) if timezone.is_aware(when) else when, style)


def today() -> date:
    """Return the day."""
    return timezone.localtime(SystemClock().now()).date()


def begin_of(day: date) -> datetime:
    """Return the first moment of a day."""
    return _midnight(_sayable(day))


def end_of(day: date) -> datetime:
    """Return the moment at which a day is over."""
    return _midnight(_sayable(day) + timedelta(days=1))


def at(day: date, clock: time) -> datetime:
    """Return the moment at which clocks show a time. Raises: `ValueError` if they did so twice, or never."""
    zone = timezone.get_current_timezone()
    first, second = (datetime.combine(day, clock).replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        raise ValueError(f"On {day}, clocks in {zone} showed {clock} twice, or never. Choose another time.")
    return first


def _sayable(day: date) -> date:
    return min(max(day, EARLIEST), LATEST)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))
