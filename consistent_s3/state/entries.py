"""What does a cache keep of a value, and how does it know that the bytes are its own?

Django's caches hold any Python object, so values are pickled; and to unpickle is to run what the bytes say. Whoever can
write to the bucket must not run code in this project. So an entry is three parts, one after the other:

1. An HMAC-SHA256 of the rest, made with `SECRET_KEY`. Nothing is looked at whose HMAC is not right.
2. As JSON, which cache it belongs to, its key and when its time is over: one entry is never taken for another's, nor
   for that of another cache, and whoever asks only for its time unpickles nothing.
3. The pickled value.
"""

from __future__ import annotations

import hmac
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

SALT = "consistent_s3.state.S3Cache.2"
"""Another one for each way to write entries: those of an earlier way are foreign."""
DIGEST = 32
"""Bytes of an HMAC-SHA256."""
LENGTH = 4
"""Bytes that say how long the JSON is."""


class ForeignEntryError(ValueError):
    """The bytes were not written by this cache of a project with this `SECRET_KEY`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A value in the cache."""

    key: str
    """As the cache made it: prefix, version and all."""
    pickled: bytes
    expires: float | None = None
    """When it is over, in seconds since 1970; `None` for never."""

    @property
    def value(self) -> Any:
        """Return the value, unpickled anew. Raises what unpickling raises, as where its class is gone."""
        return pickle.loads(self.pickled)  # noqa: S301 - signed by ourselves

    def is_over(self, now: float) -> bool:
        """Return whether its time is over."""
        return self.expires is not None and self.expires <= now


def pickled(value: Any) -> bytes:
    """Return a value as an entry keeps it. Raises what pickling raises."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedEntries:
    """Writes entries and signs them. `SECRET_KEY_FALLBACKS` are accepted in reading, as everywhere in Django."""

    place: Callable[[], str]
    """Returns what tells the cache from all others."""
    content_type: str = "application/octet-stream"

    def dumps(self, value: Entry, /) -> bytes:
        """Return the bytes of an entry."""
        head = json.dumps([self.place(), value.key, value.expires]).encode()
        data = len(head).to_bytes(LENGTH) + head + value.pickled
        return _digest(data, settings.SECRET_KEY) + data

    def loads(self, data: bytes, /) -> Entry:
        """Return the entry. Raises `ForeignEntryError` before anything of it is believed."""
        told, data = data[:DIGEST], data[DIGEST:]
        secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        if not any(hmac.compare_digest(told, _digest(data, secret)) for secret in secrets):
            raise ForeignEntryError("it is not signed with this project's SECRET_KEY")
        end = LENGTH + int.from_bytes(data[:LENGTH])
        place, key, expires = json.loads(data[LENGTH:end])
        if place != self.place():
            raise ForeignEntryError(f"it was written by the cache in {place}")
        return Entry(key=key, pickled=data[end:], expires=expires)


def _digest(data: bytes, secret: str | bytes) -> bytes:
    return salted_hmac(SALT, data, secret=secret, algorithm="sha256").digest()
