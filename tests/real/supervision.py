"""`python -m tests.real.supervision PLAN`: starts the processes of a run, kills, stalls and restarts them.

It has one thread and no connection to any database, and forks: a writer is back some milliseconds after it was killed.
What happened is printed as JSON at the end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import django
import redis

from tests.real.plans import Plan

PATIENCE = 120
"""Seconds that a process gets to end its last operation."""
LONGEST = 3
"""How many times as long as on average it takes at the most until something befalls them again: it does happen."""


class Supervisor:
    """The parent of all."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = random.Random(plan.seed)
        self.happened: Counter[str] = Counter()
        self.died: list[str] = []
        """Processes that ended although nobody had killed them."""
        self._clients: dict[str, int] = {}
        self._lives: Counter[str] = Counter()
        self._stalled: dict[str, float] = {}
        """Until when."""
        self._until = time.monotonic() + plan.seconds

    def run(self) -> None:
        """Run to the end."""
        plan = self.plan
        for role, count in (("writer", plan.writers), ("reader", plan.readers), ("collector", int(plan.collects))):
            for number in range(count):
                self._start(f"{role}-{number}")
        due = {"kill": plan.kill_every, "stall": plan.stall_every, "flush": plan.flush_every}
        due = {event: self._next(event) for event, every in due.items() if every}
        while (now := time.monotonic()) < self._until:
            for event in [event for event, at in due.items() if at <= now]:
                getattr(self, event)()
                self.happened[event] += 1
                due[event] = self._next(event)
            self._wake(now)
            self._reap()
            time.sleep(0.005)
        self._wake(float("inf"))
        self._end()

    # What befalls them

    def kill(self) -> None:
        """Kill somebody: a writer, now and then the collector."""
        role = "writer" if self.chance.random() < 0.95 else "collector"
        client = self.chance.choice([client for client in self._clients if client.startswith(role)])
        pid = self._clients.pop(client)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._stalled.pop(client, None)
        self._start(client)

    def stall(self) -> None:
        """Let somebody stand still for a while."""
        client = self.chance.choice(sorted(self._clients))
        os.kill(self._clients[client], signal.SIGSTOP)
        self._stalled[client] = time.monotonic() + self.chance.random() * self.plan.stall

    def flush(self) -> None:
        """Let Redis lose everything."""
        with redis.Redis.from_url(self.plan.redis_url) as client:
            client.flushall()

    # How

    def _next(self, event: str) -> float:
        every = getattr(self.plan, f"{event}_every")
        return time.monotonic() + min(self.chance.expovariate(1 / every), LONGEST * every)

    def _start(self, client: str) -> None:
        self._lives[client] += 1
        pid = os.fork()
        if pid:
            self._clients[client] = pid
            return
        code = 1
        try:
            from tests.real.clients import Client

            Client(self.plan, f"{client}.{self._lives[client]}").work(client.partition("-")[0], self._until)
            code = 0
        except BaseException:  # noqa: BLE001 - a child must never come back to its parent's loop
            traceback.print_exc()
        finally:
            os._exit(code)

    def _wake(self, now: float) -> None:
        for client in [client for client, until in self._stalled.items() if until <= now]:
            del self._stalled[client]
            os.kill(self._clients[client], signal.SIGCONT)

    def _reap(self, *, patience: float = 0.0) -> None:
        """Note who has ended."""
        give_up = time.monotonic() + patience
        while True:
            for client, pid in list(self._clients.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    del self._clients[client]
                    if status or time.monotonic() < self._until:
                        self.died.append(f"{client} ended with {os.waitstatus_to_exitcode(status)}")
            if not self._clients or time.monotonic() >= give_up:
                return
            time.sleep(0.01)

    def _end(self) -> None:
        self._reap(patience=PATIENCE)
        for client, pid in self._clients.items():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self.died.append(f"{client} did not end")


def main() -> None:
    """Run a plan."""
    django.setup()
    import tests.real.clients  # noqa: F401 - before the forks, so that it is loaded once

    supervisor = Supervisor(Plan.read(Path(sys.argv[1])))
    supervisor.run()
    sys.stdout.write(json.dumps({"happened": supervisor.happened, "died": supervisor.died}))


if __name__ == "__main__":
    main()
