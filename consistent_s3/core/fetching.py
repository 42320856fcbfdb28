"""The details of many versions, fetched side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from consistent_s3.core.errors import KeyMissingError
from consistent_s3.core.versions import Details, Version

AT_ONCE = 8
"""Requests for details that one answer has under way at once."""


def details_of(versions: Sequence[Version]) -> list[Details]:
    """Return the details of some versions, in their order; those of a version just collected are empty."""

    def details(version: Version) -> Details:
        try:
            return version.details
        except KeyMissingError:
            return Details()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(details, versions))
