"""Which port of this machine is free? Only ever on loopback."""

import socket

HOST = "127.0.0.1"
USUAL = 8000


class PortTakenError(Exception):
    """The port that was asked for is in use."""


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def listen(wanted: int | None) -> socket.socket:
    """Return a socket that listens on the wanted port; without a wish on the usual one or, if taken, on any other.

    From now on the port is nobody else's.

    Raises: `PortTakenError` for a wish that cannot be met.
    """
    try:
        return _listen(USUAL if wanted is None else wanted)
    except OSError as error:
        if wanted is None:
            return _listen(0)
        raise PortTakenError(
            f"Port {wanted} of {HOST} cannot be had: {error.strerror}. Choose another, or leave --port out."
        ) from error


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    try:
        # As servers do: a connection that was closed lately does not keep the port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening
