"""Pointers in Redis: the only module that knows it.

Each name has a hash, found by a digest of place and name: the fields of its `Slot`, and until when a turn lasts. It
expires. Beside them lies one key for the place, without expiry, that says since when pointers are kept there. Steps are
Lua scripts, which Redis runs one at a time. https://redis.io/docs/latest/develop/programmability/eval-intro/

A Redis that was restarted from its disk, or a replica that was promoted, may have missed the last writes: its pointers
turned back. It has another run id, though. So every slot remembers that of the Redis in which it was begun, and counts
as lost in every other. Evictions lose single pointers; the guard remembers how many keys were ever evicted, so that
after one nothing counts as kept. Both are told by `INFO`, which scripts may ask.
https://redis.io/docs/latest/commands/info/
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import RedisError

from consistent_s3.core.errors import IndexUnavailableError
from consistent_s3.index.pointers import PointerIndex
from consistent_s3.index.slots import CHECKPOINTS, CLAIM, GAP, LINEAGE, THIN, TURN, Slot

Answer = TypeVar("Answer")

PREFIX = "consistent_s3"
"""Of all our keys in Redis."""

_LOOK = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local function look(key)
    local slot = redis.call('HMGET', key, 'at', 'lineage', 'value', 'floor', 'holder', 'until', 'run')
    if slot[7] ~= run then
        if slot[7] then redis.call('DEL', key) end
        return {'', '', '', '', ''}
    end
    for field = 1, 6 do slot[field] = slot[field] or '' end
    if slot[5] ~= '' and tonumber(slot[6]) <= now then slot[5] = '' end
    return {slot[1], slot[2], slot[3], slot[4], slot[5]}
end
local function above(number, other)
    return #number > #other or (#number == #other and number > other)
end
"""
"""Numbers are compared as texts: those of a script are exact up to 2**53 only."""

_CLAIM = f"""{_LOOK}
local slot = look(KEYS[1])
if slot[1] == '' then
    redis.call('HSET', KEYS[1], 'at', ARGV[1], 'run', run)
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    slot[1] = ARGV[1]
elseif ARGV[4] == '1' and slot[1] == '0' then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
elseif ARGV[4] == '1' and string.sub(slot[1], 1, 1) ~= '?' then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return slot
"""

_SWAP = f"""{_LOOK}
local slot = look(KEYS[1])
if slot[1] ~= ARGV[1] or (slot[5] ~= '' and slot[5] ~= ARGV[6]) or above(slot[4], ARGV[2]) then
    return slot
end
local seconds, all, words, age = tonumber(time[1]), {{}}, {{}}, 0
for word in string.gmatch(ARGV[3], '%S+') do all[#all + 1] = word .. ':' .. time[1] end
for word in string.gmatch(slot[2], '%S+') do
    if word ~= '{GAP}' then all[#all + 1] = word end
end
local function since(word) return seconds - tonumber(string.match(word, '%d*$')) + 1 end
for position, word in ipairs(all) do
    local older = all[position + 1]
    if position <= {LINEAGE} then
        words[position] = word
        age = since(word)
    elseif #words <= {LINEAGE + CHECKPOINTS} and (not older or since(older) > age * {THIN}) then
        if #words == {LINEAGE} then words[#words + 1] = '{GAP}' end
        words[#words + 1] = word
        age = since(word)
    end
end
local lineage = ' ' .. table.concat(words, ' ') .. ' '
redis.call('HSET', KEYS[1], 'at', ARGV[2], 'lineage', lineage, 'value', ARGV[4], 'holder', '')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return false
"""

_TAKE = f"""{_LOOK}
local slot = look(KEYS[1])
if slot[1] ~= ARGV[1] or (slot[5] ~= '' and slot[5] ~= ARGV[3]) then
    return slot
end
local number = time[1] .. string.format('%06d', tonumber(time[2]))
if not above(number, slot[1]) or not above(number, slot[4]) then
    number = ARGV[2]
end
if not above(number, slot[1]) or not above(number, slot[4]) then
    return slot
end
redis.call('HSET', KEYS[1], 'floor', number, 'holder', ARGV[3], 'until', tostring(now + tonumber(ARGV[4])))
return number
"""

_RENEW = f"""{_LOOK}
local slot = look(KEYS[1])
if slot[1] ~= ARGV[1] or slot[4] ~= ARGV[2] or redis.call('HGET', KEYS[1], 'holder') ~= ARGV[3] then
    return slot
end
redis.call('HSET', KEYS[1], 'until', tostring(now + tonumber(ARGV[4])))
return false
"""

_GIVE = """
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
    redis.call('HSET', KEYS[1], 'holder', '')
end
"""

_PEEK = f"""{_LOOK}
local slots = {{}}
for position, key in ipairs(KEYS) do
    local slot = look(key)
    if ARGV[1] == '1' and slot[3] ~= '' then
        redis.call('PEXPIRE', key, ARGV[2])
    end
    slots[position] = slot
end
return slots
"""

_DROP = """
if redis.call('HGET', KEYS[1], 'at') == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
"""

_GUARD = """
local now = tonumber(redis.call('TIME')[1])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local evicted = string.match(redis.call('INFO', 'stats'), 'evicted_keys:(%d+)')
"""

_KEPT_FOR = f"""{_GUARD}
local guard = redis.call('HMGET', KEYS[1], 'run', 'evicted', 'since')
if guard[1] ~= run or guard[2] ~= evicted then
    redis.call('HSET', KEYS[1], 'run', run, 'evicted', evicted, 'since', now)
    return 0
end
return now - tonumber(guard[3])
"""

_TRUST = f"""{_GUARD}
redis.call('HSET', KEYS[1], 'run', run, 'evicted', evicted, 'since', now - tonumber(ARGV[1]) - 1)
"""

_POLICY = "return string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or ''"


class RedisPointers:
    """`Pointers` in Redis.

    Guarantees those of `Pointers`; a restart, a failover and an eviction count as losses.

    Not guaranteed: that two Redis which both take themselves for the primary (a network split) agree; let the one that
    is cut off refuse writes (`min-replicas-to-write`).
    """

    def __init__(self, client: Callable[[], Redis], *, place: str, timeout: timedelta) -> None:
        self._client = client
        self._place = place
        self._timeout = timeout
        self._life = 2 * timeout
        """So that who collects once in `timeout` finds pointers that nobody has used meanwhile."""
        texts = (_CLAIM, _SWAP, _TAKE, _RENEW, _GIVE, _PEEK, _DROP, _KEPT_FOR, _TRUST, _POLICY)
        self._scripts = {text: _script(text) for text in texts}

    def claim(self, name: str, claim: str, *, keep: bool) -> Slot:
        """Return what is in a slot, and put a claim into an empty one."""
        return _slot(self._run(_CLAIM, [self.key_of(name)], claim, _ms(CLAIM), _ms(self._life), int(keep)))

    def swap(self, name: str, old: str, new: Slot, *, holder: str = "") -> Slot | None:
        """Replace what is in a slot if `old` is there and it is no other's turn."""
        time = _ms(self._life if new.value else CLAIM)
        found = self._run(_SWAP, [self.key_of(name)], old, new.at, new.lineage, new.value, time, holder)
        return None if found is None else _slot(found)

    def take(self, name: str, after: int, ahead: int, holder: str) -> int | Slot:
        """Begin a turn, and return its number."""
        found = self._run(_TAKE, [self.key_of(name)], str(after), str(ahead), holder, _ms(TURN))
        return _slot(found) if isinstance(found, list) else int(found)

    def renew(self, name: str, after: int, number: int, holder: str) -> Slot | None:
        """Begin a turn anew, with its number."""
        found = self._run(_RENEW, [self.key_of(name)], str(after), str(number), holder, _ms(TURN))
        return None if found is None else _slot(found)

    def give(self, name: str, holder: str) -> None:
        """End a turn."""
        self._run(_GIVE, [self.key_of(name)], holder)

    def peek(self, names: Sequence[str], *, keep: bool) -> Sequence[Slot]:
        """Return what is in some slots."""
        found = self._run(_PEEK, [self.key_of(name) for name in names], int(keep), _ms(self._life))
        return [_slot(slot) for slot in found]

    def drop(self, name: str, old: str) -> None:
        """Empty a slot if `old` is there."""
        self._run(_DROP, [self.key_of(name)], old)

    def kept_for(self) -> timedelta:
        """Return since when pointers are kept, by the clock of Redis."""
        return timedelta(seconds=max(0, int(self._run(_KEPT_FOR, [self._guard]))))

    def trust(self) -> None:
        """Count pointers as kept for as long as they live."""
        self._run(_TRUST, [self._guard], int(self._timeout.total_seconds()))

    def evicts(self) -> str:
        """Return the `maxmemory-policy` if it lets Redis throw pointers away, else nothing."""
        policy = self._run(_POLICY, [])
        name = policy.decode() if isinstance(policy, bytes) else str(policy)
        return "" if name == "noeviction" else name

    @property
    def client(self) -> Redis:
        """Return a client of the Redis."""
        return self._client()

    @property
    def _guard(self) -> str:
        return f"{PREFIX}:kept:{_digest(self._place)}"

    def key_of(self, name: str) -> str:
        """Return the key of a name's slot."""
        return f"{PREFIX}:newest:{_digest(self._place, name)}"

    def _run(self, script: str, keys: Sequence[str], *arguments: str | int) -> Any:
        try:
            return self._scripts[script](keys=keys, args=arguments, client=self.client)
        except (RedisError, OSError) as error:
            raise IndexUnavailableError(
                f"Redis, which knows the newest versions, gave no answer: {error}. Nothing is wrong with the files. "
                "Bring Redis back, or let readers go on with index_fallback='listing' where the bucket's listing is "
                "strongly consistent."
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisIndex(PointerIndex):
    """A `PointerIndex` on `RedisPointers`."""

    kept: RedisPointers

    def evicts(self) -> str:
        """Return the `maxmemory-policy` if it lets Redis throw pointers away, else nothing."""
        return self.kept.evicts()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _script(text: str) -> Any:
    """Return a script that runs on whatever client it is given, and loads itself where it is not known yet."""
    return Redis().register_script(text)


def _slot(found: Sequence[bytes | str]) -> Slot:
    texts = [part.decode() if isinstance(part, bytes) else part for part in found]
    return Slot(**dict(zip(("at", "lineage", "value", "floor", "holder"), texts, strict=True)))


def _ms(time: timedelta) -> int:
    return max(1, time // timedelta(milliseconds=1))
