"""The example project, as a stranger starts it: one command, real processes, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import pytest

from tests.ports import kept_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for surviving processes in /proc"),
]

MANAGE = Path(__file__).parent.parent / "example_project" / "manage.py"
STARTED = re.compile(r"^Started +(?P<name>[a-z ]+) \(process (?P<pid>\d+)\)$")
CONFLICT = "Version 2 of 'documents/report.txt' is current, but 1 was expected. Read version 2 and decide again."
PATIENCE = 600
"""Seconds after which a demo that has not ended is killed."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment that names no bucket, and a temporary directory that only the demo uses."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DEMO_", "EXAMPLE_"))}
    kept.pop("DJANGO_SETTINGS_MODULE", None)
    return {**kept, "TMPDIR": str(tmp_path)}


@contextmanager
def demo(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the demo in a session of its own; kill that session if the test did not get it to end."""
    with subprocess.Popen(
        [sys.executable, str(MANAGE), "demo", *arguments],
        env=environment,
        cwd=environment["TMPDIR"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            if process.poll() is None:
                process.kill()


def run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    with demo(environment, *arguments) as process:
        output, _ = process.communicate()
        return process.returncode, output


def read_until(output: IO[str], pattern: str) -> str:
    """Return the lines up to the first that has a pattern. Fails if the output ends before."""
    lines = []
    for line in output:
        lines.append(line)
        if re.search(pattern, line):
            return "".join(lines)
    pytest.fail(f"no line has {pattern!r}:\n{''.join(lines)}")


def pids(output: str) -> dict[str, int]:
    return {match["name"]: int(match["pid"]) for line in output.splitlines() if (match := STARTED.match(line))}


def processes() -> dict[int, tuple[int, str]]:
    """Return the parent and the time of birth of every living process, by its id."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        if fields[0] != "Z":
            found[int(stat.parent.name)] = (int(fields[1]), fields[19])
    return found


def descendants(pid: int) -> dict[int, str]:
    """Return the time of birth of each child, grandchild ... of a process."""
    alive = processes()
    found: dict[int, str] = {}
    parents = {pid}
    while parents:
        children = {child: born for child, (parent, born) in alive.items() if parent in parents}
        found |= children
        parents = set(children)
    return found


def with_a_pool(pid: int, services: int) -> dict[int, str]:
    """Return the same once the worker has a pool, which it may begin after it was called started."""
    for _ in range(600):
        born = descendants(pid)
        if len(born) > services:
            return born
        time.sleep(0.1)
    raise AssertionError(f"The worker has no pool: {born}")


def survivors(born: dict[int, str]) -> dict[int, str]:
    alive = processes()
    return {pid: birth for pid, birth in born.items() if pid in alive and alive[pid][1] == birth}


@contextmanager
def refusing_server() -> Iterator[str]:
    """Serve a bucket that is empty and whose policy allows no writing."""

    class Refusal(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(200, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bucket_of_yours(bucket: str, endpoint: str) -> dict[str, str]:
    return {
        "AWS_STORAGE_BUCKET_NAME": bucket,
        "AWS_S3_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }


def test_check_sees_everything_and_leaves_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    status, output = run(environment, "--check")

    assert status == 0, output
    for line in (
        "ok  bob replaced it: version 2, same name",
        f"ok  ann, who had seen version 1, is told: {CONFLICT}",
        "ok  bob deleted documents/report.txt: version 3 is a tombstone",
        "ok  ann undeleted it as version 4",
        "ok  bob restored version 1 as version 5",
        "ok  beat told the worker, and version 1 is gone from the bucket; version 2 is on hold for an audit",
        "ok  sent again, the task went on where it was, and came to its end",
        "ok  no file is missing, and none counts twice",
        "ok  each payment was told twice and counts once; each parcel went once",
        "ok  at no moment was more shipped than paid",
        "ok  `events verify` says: 1 streams with 17 events verified, 1 sound",
        "ok  she uploaded version 2",
        "ok  she downloaded version 1: the same bytes",
        "ok  she restored version 1, and said why",
        "Everything is stopped.",
    ):
        assert line in output.splitlines(), output
    assert list(tmp_path.iterdir()) == []


def test_check_runs_on_a_bucket_of_yours(environment: dict[str, str], storage_options: dict[str, Any]) -> None:
    yours = bucket_of_yours(storage_options["bucket_name"], storage_options["endpoint_url"])

    status, output = run({**environment, **yours}, "--check")

    assert status == 0, output
    assert f"yours: {storage_options['bucket_name']}, under consistent-s3-example/." in output
    assert "ok  nothing of the report went: it is too young" in output.splitlines()


def test_check_on_a_bucket_that_refuses_writes_fails_and_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    with refusing_server() as endpoint:
        status, output = run({**environment, **bucket_of_yours("refusing", endpoint)}, "--check")

    assert status == 1, output
    assert "CommandError: AccessDeniedError: " in output
    assert "Traceback" not in output
    assert "Everything is stopped." in output.splitlines()
    assert list(tmp_path.iterdir()) == []


def test_check_whose_worker_dies_fails_and_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    with demo(environment, "--check") as process:
        assert process.stdout is not None
        output = read_until(process.stdout, "^Archived")
        born = descendants(process.pid)
        worker = pids(output)["worker"]
        os.kill(worker, signal.SIGKILL)
        output += process.stdout.read()

    assert process.returncode == 1, output
    assert f"CommandError: The worker (process {worker}) ended with status -9." in output
    assert survivors(born) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_demo_ended_by_a_signal_leaves_nothing(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    port, kept = kept_port()

    with demo(environment, "--port", str(port)) as process:
        assert process.stdout is not None
        output = read_until(process.stdout, "^Ctrl-C stops everything")
        born = with_a_pool(process.pid, len(pids(output)))
        process.send_signal(number)
        process.send_signal(number)  # somebody impatient
        output += process.stdout.read()

    assert process.returncode == 0, output
    assert set(pids(output).values()) <= set(born)
    assert survivors(born) == {}
    assert list(tmp_path.iterdir()) == []
    assert f"http://127.0.0.1:{port}/admin/" in output
    with kept, socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_demos_side_by_side_do_not_mix(environment: dict[str, str], tmp_path: Path) -> None:
    with demo(environment, "--check") as one, demo(environment, "--check") as other:
        outputs = [process.communicate()[0] for process in (one, other)]

    assert [one.returncode, other.returncode] == [0, 0], "\n".join(outputs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after", [0.6, 1.2, 1.8, 2.4])
def test_demo_ended_while_it_starts_leaves_nothing(environment: dict[str, str], tmp_path: Path, after: float) -> None:
    with demo(environment, "--check") as process:
        time.sleep(after)
        born = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()

    assert process.returncode in {130, -signal.SIGTERM}, output
    assert survivors(born) == {}
    assert list(tmp_path.iterdir()) == []


def test_port_that_is_taken_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        status, output = run(environment, "--check", "--port", str(port))

    assert status == 1
    assert f"CommandError: Port {port} of 127.0.0.1 cannot be had: Address already in use. " in output
    assert list(tmp_path.iterdir()) == []


def take_usual_port(taking: socket.socket) -> None:
    """Listen there once no other demo does, which may end at any moment; who stays has taken it just as well."""
    taking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        with suppress(OSError):
            taking.bind(("127.0.0.1", 8000))
            taking.listen()
            return
        time.sleep(0.1)


def test_usual_port_that_is_taken_is_replaced_aloud(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        take_usual_port(taken)

        with demo(environment) as process:
            assert process.stdout is not None
            output = read_until(process.stdout, "^Ctrl-C stops everything")
            process.send_signal(signal.SIGINT)
            process.stdout.read()

    port = re.search(r"^Port 8000 is taken, so this is port (\d+)\.$", output, re.MULTILINE)
    assert port is not None, output
    assert f"http://127.0.0.1:{port[1]}/admin/" in output
