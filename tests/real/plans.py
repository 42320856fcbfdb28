"""What is to happen in a run, told to its processes in a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run of writers, readers and a collector, each a process, and of what befalls them."""

    directory: str
    """Where the journals are."""
    options: dict[str, Any]
    """Of the storage."""
    seed: int
    seconds: float
    names: tuple[str, ...] = ("a.txt", "a.txt2", "dir/a.txt")
    writers: int = 4
    readers: int = 4
    collects: bool = True
    ahead: float = 0.0
    """Seconds by which the collector's clock is ahead: so much shorter is the grace that it really gives."""
    kill_every: float = 0.0
    """Seconds between two kills, on average; 0 for none."""
    stall_every: float = 0.0
    """Seconds between two stalls, on average; 0 for none."""
    stall: float = 0.0
    """The longest stall, in seconds."""
    flush_every: float = 0.0
    """Seconds between two losses of all pointers in Redis, on average; 0 for none."""
    redis_url: str = ""
    bug: str = ""
    """The one that is planted on purpose."""

    def write(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read it from a file."""
        return cls(**json.loads(path.read_text()))
