"""Orders for copies of documents, as streams of events: what was ordered, paid and shipped, by many at once.

Each decision reads the order's state and appends what follows, expecting that nothing came between. If something did,
it decides again, so nobody pays too much and nothing leaves unpaid, whoever else is at work.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from consistent_s3.core.errors import ConflictError
from consistent_s3.streams import NONE_YET, Event, NewEvent, event_store, stream_state

ORDER = "order"
TRIES = 50
"""How often a decision is made anew while others are first."""

INITIAL: dict[str, Any] = {"price": "0", "parcels": [], "paid": "0", "payments": [], "shipped": []}
"""An order before anything happened."""


class OrderError(Exception):
    """The order does not allow that."""


def fold(state: dict[str, Any], event: Event) -> dict[str, Any]:
    """Return an order after one more event. `CONSISTENT_S3_STREAMS` names it."""
    data = event.data
    match event.type:
        case "OrderPlaced":
            return {**state, "price": data["price"], "parcels": data["parcels"]}
        case "PaymentReceived":
            paid = str(Decimal(state["paid"]) + Decimal(data["amount"]))
            return {**state, "paid": paid, "payments": [*state["payments"], data["payment"]]}
        case "ParcelShipped":
            return {**state, "shipped": [*state["shipped"], data["parcel"]]}
    return state


def place(order: str, *, price: Decimal, parcels: Sequence[str]) -> None:
    """Place an order for some parcels, at a price each. Raises `AlreadyExistsError` if there is such an order."""
    placed = NewEvent(type="OrderPlaced", data={"price": price, "parcels": list(parcels)})
    event_store().append(ORDER, order, [placed], expected_version=NONE_YET)


def pay(order: str, payment: UUID, amount: Decimal) -> int:
    """Receive a payment; told twice of the same one, it counts once. Return how often somebody else was first.

    Raises: `OrderError` for more than is due.
    """

    def decide(state: dict[str, Any]) -> NewEvent | None:
        if str(payment) in state["payments"]:
            return None
        due = Decimal(state["price"]) * len(state["parcels"]) - Decimal(state["paid"])
        if amount > due:
            raise OrderError(f"{amount} is more than the {due} that are due for order {order}.")
        return NewEvent(type="PaymentReceived", data={"payment": payment, "amount": amount}, id=payment)

    return _decide(order, decide)[1]


def ship(order: str) -> tuple[str, int]:
    """Ship the next parcel if it is paid; return it, empty if none is, and how often somebody else was first."""

    def decide(state: dict[str, Any]) -> NewEvent | None:
        left = [parcel for parcel in state["parcels"] if parcel not in state["shipped"]]
        price = Decimal(state["price"])
        if not left or Decimal(state["paid"]) < price * (len(state["shipped"]) + 1):
            return None
        return NewEvent(type="ParcelShipped", data={"parcel": left[0]})

    shipped, beaten = _decide(order, decide)
    return (shipped.data["parcel"] if shipped else ""), beaten


def _decide(order: str, decide: Callable[[dict[str, Any]], NewEvent | None]) -> tuple[Event | None, int]:
    """Append what a decision says on top of the very state that it saw."""
    for beaten in range(TRIES):
        folded = stream_state(ORDER, order)
        event = decide(folded.state)
        if event is None:
            return None, beaten
        try:
            appended = event_store().append(ORDER, order, [event], expected_version=folded.version)
        except ConflictError:
            continue
        return appended.events[0], beaten
    raise OrderError(f"Others were first {TRIES} times at order {order}. Try again later.")
