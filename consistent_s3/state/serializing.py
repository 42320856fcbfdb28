"""How does a state become bytes? As JSON, in Django's way, unless the project says otherwise."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class JSONSerializer:
    """Writes what JSON has, and what Django's encoder adds: dates, times, durations, `Decimal`, `UUID`, lazy texts.

    Read back these are texts, as JSON has no words for them, a tuple is a list, and the keys of a dictionary are texts.
    NaN and the infinities are refused: JSON has none, and other languages could not read them. So are two keys of one
    dictionary that become the same text, as 1 and "1", of which one would be lost.
    """

    encoder: type[json.JSONEncoder] = DjangoJSONEncoder
    """What writes that which JSON does not have."""

    @property
    def content_type(self) -> str:
        """Return the media type of JSON."""
        return "application/json"

    def dumps(self, value: Any, /) -> bytes:
        """Return UTF-8, without spaces. Raises `TypeError` or `ValueError` for what is no JSON."""
        text = json.dumps(value, cls=self.encoder, allow_nan=False, separators=(",", ":"))
        json.loads(text, object_pairs_hook=_check_keys)
        return text.encode()

    def loads(self, data: bytes, /) -> Any:
        """Return the value. Raises `ValueError`."""
        return json.loads(data)


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    """Raise `ValueError` where two keys of a dictionary have become one text, of which only the last would be read."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"two keys of a dictionary are {key!r} as text")
        seen.add(key)
