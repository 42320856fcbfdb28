"""Do listings show what is there, in order, and as they are asked to?"""

from __future__ import annotations

from collections.abc import Sequence

from consistent_s3.core.probing.ground import LOOKS, Answer, Ground
from consistent_s3.core.suitability import Held

OUR_KEYS = (
    "a-.-v/9999999999999999998.pdf",
    "a.-v/9999999999999999989.pdf",
    "a.-v/9999999999999999997-0f0f0f0f0f0f0f0f0f0f0f0f.pdf",
    "a.-v/9999999999999999997.pdf",
    "a.-v/9999999999999999998",
    "a.-v-body/0a1b2c.pdf",
    "a.-v-deleted/0a1b2c",
    "a.pdf.-v/9999999999999999998.pdf",
    "a/b.-v/9999999999999999998.pdf",
    "a0.-v/9999999999999999998.pdf",
)
"""What is added to names: digits, letters, `-`, `.` and `/`, where `-` < `.` < `/` < `0` is what tells."""
OTHER_KEYS = ("A", "B", "Z", "_", "a", "a b", "a%2Fb", "a+b", "a&b", "a~", "b", "~", "é", "ü", "日本", "～", "😀")
"""Case, signs that URLs encode, and two beyond: UTF-16 would sort the last before the last but one."""


def fresh(ground: Ground, prefix: str) -> Answer:
    """List right after each put."""

    def holds(number: int) -> bool:
        key = f"{prefix}{number:03}"
        ground.write(key, b"x")
        return all(key in ground.listed(prefix) for _ in range(LOOKS))

    return ground.in_rounds(holds, good="It showed the new key", bad="It did not show the new key")


def forgets(ground: Ground, prefix: str) -> Answer:
    """List right after each deletion."""
    keys = [f"{prefix}{number:03}" for number in range(ground.rounds)]
    settled = ground.write_settled(keys, prefix)
    shown = 0

    def holds(number: int) -> bool:
        nonlocal shown
        shown += keys[number] in ground.listed(prefix)
        ground.delete([keys[number]])
        return not any(keys[number] in ground.listed(prefix) for _ in range(LOOKS))

    answer = ground.in_rounds(holds, good="It hid the deleted key", bad="It still showed the deleted key")
    if answer.held is Held.YES and not settled:
        return ground.unsettled("Deleted keys were hidden", seen=shown > 0)
    return answer


def order(ground: Ground, prefix: str, names: Sequence[str]) -> Answer:
    """List whole and in short pages, keys whose order tells bytes from anything else."""
    keys = [prefix + name for name in names]
    settled = ground.write_settled(keys, prefix)
    expected, most = sorted(keys, key=str.encode), 0
    for limit in (1000, *([1, 3] * ground.rounds)):
        listed = ground.listed(prefix, limit=limit)
        most = max(most, len(listed))
        if listed != sorted(listed, key=str.encode):
            wrong = next(key for key, right in zip(listed, sorted(listed, key=str.encode), strict=True) if key != right)
            return Answer(Held.NO, f"{wrong.removeprefix(prefix)!r} came too early in a page of {limit}.")
        if settled and listed[:1] != expected[:1]:
            return Answer(Held.NO, f"A page of {limit} did not begin with the first key.")
    if not settled:
        return ground.unsettled("They came in order", seen=most > 1)
    return Answer(Held.YES, f"{len(keys)} keys came in order in {2 * ground.rounds + 1} answers.")


def start_after(ground: Ground, prefix: str) -> Answer:
    """List from between and from behind keys."""
    keys = [prefix + name for name in OUR_KEYS]
    settled = ground.write_settled(keys, prefix)
    shown = 0
    for after in (f"{prefix}a.-v/9999999999999999997~", f"{prefix}a.-v/9999999999999999998") * LOOKS:
        expected = {key for key in keys if key.encode() > after.encode()}
        listed = {info.key for info in ground.store.list(prefix, start_after=after).objects}
        shown = max(shown, len(listed))
        if early := listed - expected:
            return Answer(Held.NO, f"{len(early)} keys came that lie before it.")
        if settled and listed != expected:
            return Answer(Held.NO, f"{len(expected - listed)} keys that lie after it did not come.")
    good = "What came lay after it"
    return Answer(Held.YES, f"{good}.") if settled else ground.unsettled(good, seen=shown > 0)


def max_keys(ground: Ground, prefix: str) -> Answer:
    """List less than there is."""
    keys = [f"{prefix}{number}" for number in range(5)]
    settled = ground.write_settled(keys, prefix)
    came = 0
    for limit in (1, 2):
        if (came := len(ground.listed(prefix, limit=limit))) > limit:
            return Answer(Held.NO, f"{limit} was asked for, {came} came.")
    return (
        Answer(Held.YES, "1 and 2 of 5 came as asked.") if settled else ground.unsettled("No more came", seen=came > 0)
    )


def pages(ground: Ground, prefix: str) -> Answer:
    """List page by page."""
    keys = [f"{prefix}{number:02}" for number in range(15)]
    settled = ground.write_settled(keys, prefix)
    most = 0
    for _ in range(LOOKS):
        came = _paged(ground, prefix, limit=2, most=len(keys))
        most = max(most, len(came))
        if repeated := len(came) - len(set(came)):
            return Answer(Held.NO, f"{repeated} of {len(keys)} keys came again in pages of 2.")
        if settled and (missing := len(set(keys) - set(came))):
            return Answer(Held.NO, f"{missing} of {len(keys)} keys were missing in pages of 2.")
    if not settled:
        return ground.unsettled("None came twice", seen=most > 2)
    return Answer(Held.YES, f"{len(keys)} keys came once each in pages of 2.")


def _paged(ground: Ground, prefix: str, *, limit: int, most: int) -> list[str]:
    """Return the keys of all pages, of no more than there can be."""
    came: list[str] = []
    token = ""
    for _ in range(most + 1):
        page = ground.store.list(prefix, token=token, limit=limit)
        came += (info.key for info in page.objects)
        token = page.token
        if not token:
            break
    return came


def delimiter(ground: Ground, prefix: str) -> Answer:
    """List a directory."""
    keys = [f"{prefix}{name}" for name in ("a.-v/1", "a.-v/2", "b", "c/d/e", "c/f")]
    settled = ground.write_settled(keys, prefix)
    expected = {f"{prefix}{name}" for name in ("a.-v/", "b", "c/")}
    seen = False
    for _ in range(LOOKS):
        page = ground.store.list(prefix, delimiter="/")
        folded = {*page.prefixes, *(info.key for info in page.objects)}
        seen = seen or bool(page.prefixes)
        if wrong := sorted(folded - expected):
            return Answer(Held.NO, f"{len(wrong)} entries came that should not: {wrong[0].removeprefix(prefix)!r}.")
        if settled and folded != expected:
            return Answer(Held.NO, f"{len(expected - folded)} of {len(expected)} entries did not come.")
    if not settled:
        return ground.unsettled("They were folded", seen=seen)
    return Answer(Held.YES, f"{len(keys)} keys came as {len(expected)} entries.")
