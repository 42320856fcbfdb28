"""A TCP proxy that cuts connections: what a flaky network does between boto3 and a server.

It looks at no more of HTTP than it must to know when a request begins and where the head of its answer ends.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass

HOST = "127.0.0.1"
_REQUEST = re.compile(rb"(?P<method>GET|HEAD|PUT|POST|DELETE) (?P<target>\S+) HTTP/1")


@dataclass(slots=True, kw_only=True)
class Cut:
    """Cut the connection while an answer comes."""

    method: str
    target: str = ""
    """A regular expression that is found in path and query of the request."""
    after: int | None = None
    """Bytes of the answer's body that still pass; `None`: not even its head. The server has done its work anyway."""
    times: int = 1
    """How many such answers are cut."""
    fired: int = 0
    """How many were."""

    def takes(self, request: re.Match[bytes]) -> bool:
        return (
            self.fired < self.times
            and request["method"] == self.method.encode()
            and re.search(self.target.encode(), request["target"]) is not None
        )


class Proxy:
    """Passes bytes between clients and one server, and cuts what it is told to; a context manager."""

    def __init__(self, server_url: str) -> None:
        host, _, port = server_url.removeprefix("http://").partition(":")
        self._server = (host, int(port))
        self._listener = socket.create_server((HOST, 0))
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._cuts: list[Cut] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._listener.getsockname()[1]}"

    def cut(self, method: str, target: str = "", *, after: int | None = None, times: int = 1) -> Cut:
        cut = Cut(method=method, target=target, after=after, times=times)
        self._cuts.append(cut)
        return cut

    def __enter__(self) -> Proxy:
        self._start(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets = list(self._sockets)
        for opened in sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _start(self, target, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._connect, client)

    def _connect(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            with self._lock:
                self._sockets |= {client, server}
            connection = _Connection(self, client, server)
            upwards = threading.Thread(target=connection.pass_requests, daemon=True)
            upwards.start()
            connection.pass_answers()
            connection.close()
            upwards.join()
            with self._lock:
                self._sockets -= {client, server}

    def begin(self, request: re.Match[bytes]) -> Cut | None:
        """Return the cut that is due for a request."""
        with self._lock:
            for cut in self._cuts:
                if cut.takes(request):
                    cut.fired += 1
                    return cut
        return None


class _Connection:
    """One client's connection and ours to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._cut: Cut | None = None

    def pass_requests(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(65536):
                if request := _REQUEST.match(data):
                    self._cut = self._proxy.begin(request)
                self._server.sendall(data)
        self.close()

    def pass_answers(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(65536):
                while data.startswith(b"HTTP/1.1 100"):  # "go on": the answer itself may follow in the same breath
                    head, end, data = data.partition(b"\r\n\r\n")
                    self._client.sendall(head + end)
                if data and self._cut is not None:
                    self._pass_part(data, self._cut)
                    return
                self._client.sendall(data)

    def _pass_part(self, data: bytes, cut: Cut) -> None:
        if cut.after is None:
            return
        while (head := data.find(b"\r\n\r\n")) < 0 or len(data) < head + 4 + cut.after:
            more = self._server.recv(65536)
            if not more:
                return
            data += more
        self._client.sendall(data[: head + 4 + cut.after])

    def close(self) -> None:
        for opened in (self._client, self._server):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
