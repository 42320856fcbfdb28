"""The bakery's orders, as streams of events: one that is long, one that was ended, and two customers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from consistent_s3.streams import Event, EventStore, NewEvent, event_store

SETTING = {"order": {"fold": "tests.showroom.streams.fold", "initial": {"lines": {}, "paid": "0.00"}}}
BEGAN = datetime(2026, 6, 1, 7, 30, tzinfo=UTC)


def fold(state: dict[str, Any], event: Event) -> dict[str, Any]:
    """Return an order after one more event."""
    if event.type == "LineAdded":
        lines = {**state["lines"], event.data["article"]: event.data["quantity"]}
        return {**state, "lines": lines}
    if event.type == "PaymentReceived":
        return {**state, "paid": str(Decimal(state["paid"]) + Decimal(event.data["amount"]))}
    return {**state, "status": event.type, "note": event.data.get("note", "")}


def fill() -> EventStore:
    """Append everything."""
    events = event_store()
    _append(events, "order", "2026-0815", _long_order())
    _append(events, "order", "2025-0001", [("Placed", {"customer": "Müller"}), ("Cancelled", {})])
    events.tombstone("order", "2025-0001")
    for number in range(2, 9):
        _append(events, "order", f"2026-{number:04}", [("Placed", {"customer": "Weber & Söhne"})])
    for name in ("Müller", "Weber & Söhne"):
        _append(events, "customer", name, [("Registered", {"name": name})])
    return events


def _long_order() -> list[tuple[str, Any]]:
    placed = {
        "customer": "Müller",
        "deliver_to": {"street": "Hafenstraße 12", "city": "Lübeck", "floor": None},
        "lines": [{"article": "Rye bread", "quantity": 12, "price": Decimal("4.40")}],
        "gift": False,
        "note": "Please leave it with the neighbours if nobody opens the door before nine o'clock in the morning.",
    }
    every_day = [("LineAdded", {"article": f"Roll {day}", "quantity": day % 7 + 1}) for day in range(60)]
    paid = [("PaymentReceived", {"amount": Decimal("12.50"), "by": "card"})] * 3
    return [("Placed", placed), *every_day, *paid, ("Shipped", {"note": "by bicycle"})]


def _append(events: EventStore, stream_type: str, stream_id: str, happened: list[tuple[str, Any]]) -> None:
    new = [
        NewEvent(
            type=what,
            data=data,
            metadata={"author": "anna.keller", "request": f"r-{number:04}"},
            id=UUID(int=number + 1),
            time=BEGAN + timedelta(hours=7 * number),
        )
        for number, (what, data) in enumerate(happened)
    ]
    events.append(stream_type, stream_id, new, expected_version=0)
