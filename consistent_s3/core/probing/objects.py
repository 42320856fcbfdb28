"""Is what is written what is read, and when?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from datetime import datetime, timedelta

from consistent_s3.core.errors import (
    AnswerLostError,
    KeyMissingError,
    StoreError,
    UnreachableError,
)
from consistent_s3.core.keys import MAX_KEY_BYTES
from consistent_s3.core.probing.ground import LOOKS, SOME_TIME, Answer, Ground
from consistent_s3.core.seams import Attributes
from consistent_s3.core.suitability import Held
from consistent_s3.core.versions import COMMENT_PARTS, VALUE_BYTES, Details, from_head, to_metadata

CLOCK_TOLERANCE = timedelta(minutes=1)


def stored(ground: Ground, prefix: str) -> Answer:
    """Write and read one object."""
    data = bytes(range(256)) * 40
    ground.write(f"{prefix}a.txt", data, attributes=Attributes(content_type="text/x-probe"))
    head = ground.head_in_time(f"{prefix}a.txt")
    read = ground.read_in_time(f"{prefix}a.txt")
    if (read, head.info.size) != (data, len(data)):
        return Answer(Held.NO, f"{len(data)} bytes were written, {len(read)} other ones came back.")
    if not head.content_type.startswith("text/x-probe"):
        return Answer(Held.NO, f"The media type text/x-probe came back as {head.content_type!r}.")
    return Answer(Held.YES, f"{len(data)} bytes and their media type came back.")


def empty(ground: Ground, prefix: str) -> Answer:
    """Write and read no bytes."""
    ground.write(f"{prefix}empty", b"")
    size = ground.head_in_time(f"{prefix}empty").info.size
    read = ground.read_in_time(f"{prefix}empty")
    if size or read:
        return Answer(Held.NO, f"No bytes were written, {max(size, len(read))} came back.")
    return Answer(Held.YES, "No bytes were written, none came back.")


def byte_range(ground: Ground, prefix: str) -> Answer:
    """Read parts of an object."""
    data = bytes(range(256))
    ground.write(f"{prefix}a", data)
    for start, end in ((0, 16), (100, 200), (200, None), (255, 256)):
        read = ground.read_in_time(f"{prefix}a", start=start, end=end)
        if read != data[start:end]:
            return Answer(Held.NO, f"Bytes {start} to {end or len(data)} were asked for; {len(read)} others came.")
    return Answer(Held.YES, "Four ranges of 256 bytes came as they were asked for.")


def metadata(ground: Ground, prefix: str) -> Answer:
    """Write and read what goes with every version."""
    return round_trip(ground, f"{prefix}a", Details(write_id="0a1b2c", author="Zoë", comment="5 % = ½", predecessor=7))


def metadata_size(ground: Ground, prefix: str) -> Answer:
    """Write and read as much metadata as a version may have."""
    return round_trip(
        ground,
        f"{prefix}a",
        Details(
            write_id="0" * 24,
            author="a" * VALUE_BYTES,
            original_name="n" * VALUE_BYTES,
            checksum="0" * 64,
            comment="c" * VALUE_BYTES * COMMENT_PARTS,
            predecessor=2**62,
            predecessor_etag="0" * 38,
            restored_from=2**62,
        ),
    )


def round_trip(ground: Ground, key: str, details: Details) -> Answer:
    """Write details as metadata and read them."""
    sent = to_metadata(details)
    size = sum(len(name) + len(value) for name, value in sent.items())
    ground.write(key, b"x", attributes=Attributes(metadata=sent))
    head = ground.head_in_time(key)
    came = from_head(head)
    told = [what.name for what in fields(Details) if what.name not in {"content_type", "content_encoding"}]
    if changed := [what for what in told if getattr(came, what) != getattr(details, what)]:
        return Answer(Held.NO, f"Lost or changed: {', '.join(changed)}.")
    renamed = sorted(name for name in head.metadata if name not in sent)
    if renamed:
        return Answer(Held.YES, f"{size} bytes came back; renamed, and understood: {', '.join(renamed)}.")
    return Answer(Held.YES, f"{size} bytes in {len(sent)} values came back.")


def read_new(ground: Ground, prefix: str) -> Answer:
    """Read right after each put."""

    def holds(number: int) -> bool:
        key = f"{prefix}{number}"
        ground.write(key, b"new")
        return all(ground.shows(key, b"new") for _ in range(LOOKS))

    return ground.in_rounds(holds, good="It was there", bad="It was not there")


def read_after_absence(ground: Ground, prefix: str) -> Answer:
    """Ask for keys, put them, and ask again."""

    def holds(number: int) -> bool:
        key = f"{prefix}{number}"
        for _ in range(LOOKS):
            with suppress(KeyMissingError):
                ground.store.head(key)
            ground.shows(key, b"")
        ground.write(key, b"new")
        return all(ground.shows(key, b"new") and ground.is_there(key) for _ in range(LOOKS))

    return ground.in_rounds(holds, good="It was there", bad="It was not there")


def read_after_overwrite(ground: Ground, prefix: str) -> Answer:
    """Read right after each overwriting put."""
    key = f"{prefix}a"
    ground.write(key, b"first")
    ground.read_in_time(key)

    def holds(number: int) -> bool:
        ground.write(key, b"%d" % number)
        return all(ground.shows(key, b"%d" % number) for _ in range(LOOKS))

    return ground.in_rounds(holds, good="The new bytes came", bad="Old bytes came")


def read_after_delete(ground: Ground, prefix: str) -> Answer:
    """Read right after each deletion."""

    def holds(number: int) -> bool:
        key = f"{prefix}{number}"
        ground.write(key, b"x")
        ground.read_in_time(key)
        ground.delete([key])
        return not any(ground.shows(key, b"x") for _ in range(LOOKS))

    return ground.in_rounds(holds, good="It was gone", bad="It was still there")


def batch_delete(ground: Ground, prefix: str) -> Answer:
    """Delete several keys, one of them missing, in one request."""
    keys = [f"{prefix}{name}" for name in ("a", "b & c", "d")]
    for key in keys:
        ground.write(key, b"x")
        ground.read_in_time(key)
    failures = ground.store.delete([*keys, f"{prefix}missing"])
    if failures:
        return Answer(Held.NO, f"{len(failures)} of 4 were refused: {failures[0].code} {failures[0].message}".strip())
    give_up = ground.give_up()
    while left := [key for key in keys if ground.is_there(key)]:
        if ground.clock.monotonic() > give_up:
            return Answer(Held.NO, f"{len(left)} of 3 were still there {SOME_TIME} later.")
        ground.clock.sleep(0.5)
    return Answer(Held.YES, "3 keys were deleted, and one that was not there counted as deleted.")


def clock(ground: Ground, prefix: str) -> Answer:
    """Compare the times that the store gives with our own."""
    before = ground.clock.now()
    receipt = ground.write(f"{prefix}a", b"x")
    after = ground.clock.now()
    stored = ground.head_in_time(f"{prefix}a").info.modified
    distances = [_outside(receipt.modified, before, after), _outside(stored, before, after)]
    farthest = max(distances, key=abs)
    if abs(farthest) < timedelta(seconds=2):  # its times are whole seconds
        return Answer(Held.YES, "Less than 2 seconds apart.")
    evidence = (
        f"Its clock is {abs(farthest).total_seconds():.0f} seconds {'ahead' if farthest > timedelta(0) else 'behind'}."
    )
    return Answer(Held.YES if abs(farthest) <= CLOCK_TOLERANCE else Held.NO, evidence)


def long_key(ground: Ground, prefix: str) -> Answer:
    """Write under the longest key that S3 allows."""
    ground.write(f"{prefix}short", b"x")
    key = prefix + "k" * (MAX_KEY_BYTES - len(prefix.encode()))
    try:
        ground.write(key, b"x")
    except (AnswerLostError, UnreachableError):
        raise
    except StoreError as error:
        return Answer(Held.NO, str(error))
    ground.read_in_time(key)
    return Answer(Held.YES, f"One of {len(key.encode()):,} bytes was kept.")


def _outside(moment: datetime, begin: datetime, end: datetime) -> timedelta:
    """Return how far a moment lies before (negative) or after a span of time."""
    if moment < begin:
        return moment - begin
    return max(moment - end, timedelta(0))
