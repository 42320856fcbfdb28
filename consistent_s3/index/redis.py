"""Pointers in Redis: the only module that knows it.

Each name has a hash, found by a digest of place and name: `at`, `lineage` and `value` of its `Slot`. It expires. Beside
them lies one key for the place, without expiry, that says since when pointers are kept there. Steps are Lua scripts,
which Redis runs one at a time. https://redis.io/docs/latest/develop/programmability/eval-intro/
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import RedisError

from consistent_s3.core.errors import IndexUnavailableError
from consistent_s3.index.pointers import CLAIM, LINEAGE, PointerIndex, Slot

Answer = TypeVar("Answer")

PREFIX = "consistent_s3"
"""Of all our keys in Redis."""

_CLAIM = """
local slot = redis.call('HMGET', KEYS[1], 'at', 'lineage', 'value')
if not slot[1] then
    redis.call('HSET', KEYS[1], 'at', ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return {ARGV[1], '', ''}
end
if ARGV[4] == '1' and slot[1] == '0' then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
elseif ARGV[4] == '1' and string.sub(slot[1], 1, 1) ~= '?' then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {slot[1], slot[2] or '', slot[3] or ''}
"""

_SWAP = """
local slot = redis.call('HMGET', KEYS[1], 'at', 'lineage', 'value')
if slot[1] ~= ARGV[1] then
    return {slot[1] or '', slot[2] or '', slot[3] or ''}
end
local lineage, count = ' ', 0
for word in string.gmatch(ARGV[3] .. (slot[2] or ''), '%S+') do
    count = count + 1
    if count <= tonumber(ARGV[6]) then lineage = lineage .. word .. ' ' end
end
redis.call('HSET', KEYS[1], 'at', ARGV[2], 'lineage', lineage, 'value', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return false
"""

_PEEK = """
local slots = {}
for position, key in ipairs(KEYS) do
    local slot = redis.call('HMGET', key, 'at', 'lineage', 'value')
    if ARGV[1] == '1' and slot[3] and slot[3] ~= '' then
        redis.call('PEXPIRE', key, ARGV[2])
    end
    slots[position] = {slot[1] or '', slot[2] or '', slot[3] or ''}
end
return slots
"""

_DROP = """
if redis.call('HGET', KEYS[1], 'at') == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
"""

_KEPT_FOR = """
local now = tonumber(redis.call('TIME')[1])
redis.call('SET', KEYS[1], now, 'NX')
return now - tonumber(redis.call('GET', KEYS[1]))
"""

_TRUST = """
redis.call('SET', KEYS[1], tonumber(redis.call('TIME')[1]) - tonumber(ARGV[1]) - 1)
"""


class RedisPointers:
    """`Pointers` in Redis.

    Guarantees those of `Pointers` as long as Redis does not turn back: with replicas, a failover may lose writes that
    were acknowledged, and then a pointer goes back. An eviction (any `maxmemory-policy` but `noeviction`) is a loss of
    one pointer, which a store with a lagging listing does not forgive.
    """

    def __init__(self, client: Callable[[], Redis], *, place: str, timeout: timedelta) -> None:
        self._client = client
        self._place = place
        self._timeout = timeout
        self._scripts = {text: _script(text) for text in (_CLAIM, _SWAP, _PEEK, _DROP, _KEPT_FOR, _TRUST)}

    def claim(self, name: str, claim: str, *, keep: bool) -> Slot:
        """Return what is in a slot, and put a claim into an empty one."""
        return _slot(self._run(_CLAIM, [self._key(name)], claim, _ms(CLAIM), _ms(self._timeout), int(keep)))

    def swap(self, name: str, old: str, new: Slot) -> Slot | None:
        """Replace what is in a slot if `old` is there."""
        time = _ms(self._timeout if new.value else CLAIM)
        found = self._run(_SWAP, [self._key(name)], old, new.at, new.lineage, new.value, time, LINEAGE)
        return None if found is None else _slot(found)

    def peek(self, names: Sequence[str], *, keep: bool) -> Sequence[Slot]:
        """Return what is in some slots."""
        found = self._run(_PEEK, [self._key(name) for name in names], int(keep), _ms(self._timeout))
        return [_slot(slot) for slot in found]

    def drop(self, name: str, old: str) -> None:
        """Empty a slot if `old` is there."""
        self._run(_DROP, [self._key(name)], old)

    def kept_for(self) -> timedelta:
        """Return since when pointers are kept, by the clock of Redis."""
        return timedelta(seconds=max(0, int(self._run(_KEPT_FOR, [self._guard]))))

    def trust(self) -> None:
        """Count pointers as kept for as long as they live."""
        self._run(_TRUST, [self._guard], int(self._timeout.total_seconds()))

    @property
    def _guard(self) -> str:
        return f"{PREFIX}:since:{_digest(self._place)}"

    def _key(self, name: str) -> str:
        return f"{PREFIX}:newest:{_digest(self._place, name)}"

    def _run(self, script: str, keys: Sequence[str], *arguments: str | int) -> Any:
        try:
            return self._scripts[script](keys=keys, args=arguments, client=self._client())
        except (RedisError, OSError) as error:
            raise IndexUnavailableError(
                f"Redis, which knows the newest versions, gave no answer: {error}. Nothing is wrong with the files. "
                "Bring Redis back, or let readers go on with index_fallback='listing' where the bucket's listing is "
                "strongly consistent."
            ) from error


class RedisIndex(PointerIndex):
    """A `PointerIndex` on `RedisPointers`."""


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _script(text: str) -> Any:
    """Return a script that runs on whatever client it is given, and loads itself where it is not known yet."""
    return Redis().register_script(text)


def _slot(found: Sequence[bytes | str]) -> Slot:
    at, lineage, value = (part.decode() if isinstance(part, bytes) else part for part in found)
    return Slot(at=at, lineage=lineage, value=value)


def _ms(time: timedelta) -> int:
    return max(1, time // timedelta(milliseconds=1))
