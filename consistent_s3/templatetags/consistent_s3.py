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
from django.utils.http import content_disposition_header

from consistent_s3.core.errors import VersionNotFoundError
from consistent_s3.core.versions import Version
from consistent_s3.views import file_name

EXPIRE = 300
"""Seconds for which a signed address can be used, unless a template says otherwise."""

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
def version_url(file: Any, number: int, expire: int = EXPIRE) -> str:
    """Return an address of one version in the bucket, signed as the storage signs, for some seconds.

    The store sends what is behind it as an attachment under its original name, so no browser interprets it; asking for
    that name costs one HEAD where the index has no rows. Addresses of a `custom_domain`, and without
    `querystring_auth`, can ask the store for nothing: what they send may be shown in place, and unless CloudFront signs
    them, they never end.
    """
    storage = file.storage
    version = storage.version(file.name, number)
    parameters = {}
    if storage.querystring_auth and not storage.custom_domain:
        as_attachment = True
        parameters["ResponseContentDisposition"] = content_disposition_header(as_attachment, file_name(version))
    return str(storage.url(file.name, parameters=parameters, expire=expire, version=version))
