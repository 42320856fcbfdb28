"""Which environment makes the project's settings run on this machine alone?

Settings are read once, when Python starts. So the demo fills in the variables and starts itself anew, in the same
process: the settings do not know that it is a demo.
"""

import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from demo.ports import HOST, free_port

PREPARED = "DEMO_PREPARED_FOR"
"""The process that was prepared: its children inherit the variable, but not the number."""
S3_PORT = "DEMO_S3_PORT"
COLLECT_EVERY = 5
"""Seconds between two collections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the demo runs on."""

    directory: Path
    """Holds the database, the broker's folders and the logs; removed at the end."""
    bucket: str
    s3_port: int | None
    """Where the demo's own bucket is to be served; `None` for a bucket of yours."""

    def write_script(self) -> Path:
        """Write what another terminal needs to join in; no variable of yours is in it, so no secret of yours is."""
        ours = [name for name in os.environ if name.startswith("EXAMPLE_")]
        if self.s3_port:
            ours += [name for name in os.environ if name.startswith("AWS_")]
        script = self.directory / "environment.sh"
        script.write_text("".join(f"export {name}={quote(os.environ[name])}\n" for name in sorted(ours)))
        return script


def prepared() -> Environment | None:
    """Return the environment of this process if it was prepared, else `None`."""
    if os.environ.get(PREPARED) != str(os.getpid()):
        return None
    port = os.environ.get(S3_PORT)
    return Environment(
        directory=Path(os.environ["EXAMPLE_DATA"]),
        bucket=os.environ["AWS_STORAGE_BUCKET_NAME"],
        s3_port=int(port) if port else None,
    )


def prepare_and_start_anew() -> None:
    """Become the same command in a prepared environment. Does not return.

    Nothing is made yet, only named: whatever ends the process before it can clean up has nothing to leave behind.
    """
    prepared = _prepare(os.environ)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], prepared)


def _prepare(given: Mapping[str, str]) -> dict[str, str]:
    variables = {name: value for name, value in given.items() if name != S3_PORT}
    if not given.get("AWS_STORAGE_BUCKET_NAME"):
        # Nothing of a real account may reach the demo, nor the demo a real account.
        variables = {name: value for name, value in variables.items() if not name.startswith("AWS_")}
        port = free_port()
        variables |= {
            S3_PORT: str(port),
            "AWS_STORAGE_BUCKET_NAME": "archive",
            "AWS_S3_ENDPOINT_URL": f"http://{HOST}:{port}",
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": ",".join(filter(None, [given.get("NO_PROXY"), given.get("no_proxy"), HOST])),
        }
        variables["no_proxy"] = variables["NO_PROXY"]
    return variables | {
        PREPARED: str(os.getpid()),
        "EXAMPLE_DATA": str(Path(tempfile.gettempdir()) / f"consistent-s3-demo-{secrets.token_hex(4)}"),
        "EXAMPLE_COLLECT_EVERY": str(COLLECT_EVERY),
        "PYTHONUNBUFFERED": "1",
    }
