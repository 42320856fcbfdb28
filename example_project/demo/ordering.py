"""The walk's order: payments and shipments by several threads at once, and none is lost, doubled or too early."""

import io
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID, uuid4

from django.core.management import call_command

from archive import orders
from consistent_s3.core.errors import ConflictError
from consistent_s3.streams import NewEvent, event_store, stream_state
from demo.checklist import Checklist, NotSoError

PARCELS = [f"parcel {number}" for number in range(1, 9)]
PRICE = Decimal("12.50")
PATIENCE = 120
"""Seconds for all threads to come to their end."""


def order_pay_and_ship(see: Checklist) -> str:
    """Have an order paid and shipped at once; return its number."""
    order = f"order-{secrets.token_hex(4)}"
    orders.place(order, price=PRICE, parcels=PARCELS)
    total = PRICE * len(PARCELS)
    see.saw(f"{order}: {len(PARCELS)} parcels, {total} in all")
    beaten = _at_once(order, [uuid4() for _ in PARCELS])

    events = list(event_store().read(orders.ORDER, order))
    kinds = [event.type for event in events]
    told = (kinds.count("OrderPlaced"), kinds.count("PaymentReceived"), kinds.count("ParcelShipped"))
    see.same(
        told, (1, len(PARCELS), len(PARCELS)), "each payment was told twice and counts once; each parcel went once"
    )
    see.same([event.position for event in events], [*range(1, 18)], "17 events, in one order, without a gap")
    see.saw(f"{beaten} times somebody else had been first, and it was decided anew")
    state = stream_state(orders.ORDER, order).state
    see.same((Decimal(state["paid"]), sorted(state["shipped"])), (total, PARCELS), "all is paid, and all is shipped")
    see.same(_shipped_unpaid(events), [], "at no moment was more shipped than paid")

    with see.refusal(orders.OrderError, "one more payment is refused"):
        orders.pay(order, uuid4(), PRICE)
    with see.refusal(ConflictError, "who appends to what the order was is told"):
        event_store().append(orders.ORDER, order, [NewEvent(type="OrderCancelled")], expected_version=1)
    _compact_and_verify(see, order, events)
    return order


def _at_once(order: str, payments: list[UUID]) -> int:
    """Pay and ship in four threads; return how often one of them found that another had been first."""
    until = time.monotonic() + PATIENCE

    def pay() -> int:
        return sum(orders.pay(order, payment, PRICE) for payment in payments)

    def ship() -> int:
        beaten = 0
        while len(stream_state(orders.ORDER, order).state["shipped"]) < len(PARCELS):
            if time.monotonic() > until:
                raise NotSoError(f"Not all parcels were shipped after {PATIENCE} s.")
            beaten += orders.ship(order)[1]
        return beaten

    with ThreadPoolExecutor(4) as pool:
        return sum(working.result() for working in [pool.submit(work) for work in (pay, pay, ship, ship)])


def _shipped_unpaid(events: list) -> list[int]:
    """Return the events after which more was shipped than paid."""
    state, unpaid = orders.INITIAL, []
    for event in events:
        state = orders.fold(state, event)
        if PRICE * len(state["shipped"]) > Decimal(state["paid"]):
            unpaid.append(event.position)
    return unpaid


def _compact_and_verify(see: Checklist, order: str, events: list) -> None:
    name = f"{orders.ORDER}/{order}"
    said = _said("compact", name)
    see.see("1 with chunks to cover" in said, f"`events compact` says: {said}", instead=said)
    see.same(list(event_store().read(orders.ORDER, order)), events, "every event reads as before")
    said = _said("verify", name)
    see.same(said, "1 streams with 17 events verified, 1 sound", f"`events verify` says: {said}")


def _said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("consistent_s3", "events", *arguments, stdout=out)
    return out.getvalue().strip()
