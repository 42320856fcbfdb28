"""How do the values that a Django project has become what JSON can hold? As Django's own JSON encoder writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class DjangoValues:
    """Takes what JSON has, and what Django's encoder adds: dates, times, durations, `Decimal`, `UUID`, lazy texts.

    Guarantees:

    1. What JSON has no words for is read back as text, as the encoder writes it: a time has milliseconds and no more.
       A tuple is a list; a member of an `IntegerChoices` or `TextChoices` is its value.
    2. An event that was appended shows its data as it will be read, at once. A state with such values is refused where
       it is folded with snapshots: keep what is in `event.data`, or texts, and make a `Decimal` of it when it counts.
    3. Keys of dictionaries are strings. Others, NaN and whole numbers beyond 64 bits are refused by the event store,
       with the place where they are.
    """

    encoder: type[json.JSONEncoder] = DjangoJSONEncoder
    """What writes that which JSON does not have."""

    def encode(self, value: Any) -> Any:
        """Return what JSON can hold. Raises `TypeError` or `ValueError`."""
        try:
            return self._plain(value, self.encoder())
        except RecursionError:
            raise ValueError("it is too deep, or contains itself") from None

    def decode(self, value: Any) -> Any:
        """Return the value as it was kept."""
        return value

    def _plain(self, value: Any, encoder: json.JSONEncoder) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int.__index__(value)
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, dict):
            return {
                str.__str__(key) if isinstance(key, str) else key: self._plain(item, encoder)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._plain(item, encoder) for item in value]
        return self._plain(encoder.default(value), encoder)
