"""Large numbers as people read them: `{{ count|grouped }}`."""

from __future__ import annotations

from django import template
from django.utils.formats import number_format

register = template.Library()


@register.filter
def grouped(value: int) -> str:
    """Return a number with its thousands apart, as the page's language does it."""
    return number_format(value, force_grouping=True)
