"""The history of a file in a project's own templates.

    {% load consistent_s3 %}
    {% file_history contract.file limit=5 as versions %}
    {% for version in versions %}
      <a href="{% url 'contract-version' contract.pk version.number %}">{{ version.number }}</a> {{ version.author }}
    {% endfor %}

Nobody's rights are asked here: show it to whom you would show the file.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from django import template

from consistent_s3.core.errors import VersionNotFoundError
from consistent_s3.core.versions import Version

register = template.Library()


@register.simple_tag
def file_history(file: Any, limit: int = 10) -> list[Version]:
    """Return the newest versions of a field's file, tombstones included; none for a row without a file.

    Asking a version for its author, comment or original name costs one HEAD each where the index has no rows.
    """
    return list(islice(file.history(), limit)) if file else []


@register.simple_tag
def file_version(file: Any) -> Version | None:
    """Return the version that a row shows; `None` for a row without a file, and for one that is deleted."""
    try:
        return file.version if file else None
    except VersionNotFoundError:
        return None


@register.simple_tag
def version_url(file: Any, number: int) -> str:
    """Return an address of one version in the bucket, signed as the storage signs."""
    return str(file.storage.url(file.name, version=number))
