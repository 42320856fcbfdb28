"""A Redis of our own: tests empty it, stop it and cut its connections, and nobody else's data is in it."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.ports import kept_port

PROGRAM = shutil.which("redis-server")


class RedisServer:
    """A `redis-server` on a free port of 127.0.0.1, without persistence; a context manager.

    The port is kept while it is down: nobody else gets it who asks for any.
    """

    def __init__(self, directory: Path) -> None:
        self.port, self._kept = kept_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/9"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Start it, and return once it answers."""
        assert PROGRAM is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._directory)]
        self._process = subprocess.Popen([PROGRAM, *options], stdout=subprocess.DEVNULL)
        patient = redis.Redis.from_url(
            self.url, retry=Retry(ConstantBackoff(0.01), 6000), retry_on_error=[redis.ConnectionError]
        )
        patient.ping()
        patient.close()

    def kill(self) -> None:
        """End it as SIGKILL does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._kept.close()
