"""One boto3 client for all storages with equal options: making one takes about 0.1 s and 10 MB.

Clients are safe in many threads (https://docs.aws.amazon.com/boto3/latest/guide/clients.html), resources are not, so
none is used. Two processes must not share a connection. So a forked one makes its own clients, and whoever keeps
something for longer than a request keeps no client, but the function that returns that of the process which asks.
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from consistent_s3.core.s3 import watch_deadlines

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from storages.backends.s3 import S3Storage

POOL = 50
"""Connections a client keeps where the project gives no `client_config`; botocore's own 10 are few for a server."""

_clients: dict[Hashable, S3Client] = {}
_lock = threading.Lock()


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the lock may have been held by a thread that the child does not have
    _lock = threading.Lock()
    _clients.clear()


os.register_at_fork(after_in_child=_after_fork)


def shared_client(storage: S3Storage, *, signed: bool = True) -> S3Client:
    """Return the client for a storage's options; `signed=False` for URLs without a signature."""
    return storage_client(storage, signed=signed)()


def storage_client(storage: S3Storage, *, signed: bool = True) -> Callable[[], S3Client]:
    """Return what returns the client for the options that a storage has now, and does not keep the storage."""
    config: Config = (
        storage.client_config if signed else storage.client_config.merge(Config(signature_version=UNSIGNED))
    )
    account = {
        "profile_name": storage.session_profile,
        "aws_access_key_id": storage.access_key,
        "aws_secret_access_key": storage.secret_key,
        "aws_session_token": storage.security_token,
    }
    endpoint = {
        "region_name": storage.region_name,
        "use_ssl": storage.use_ssl,
        "endpoint_url": storage.endpoint_url,
        "verify": storage.verify,
    }
    return own_client(account, endpoint, config)


def own_client(account: dict[str, Any], endpoint: dict[str, Any], config: Config) -> Callable[[], S3Client]:
    """Return what returns the client for some options, the same for all who ask in one process."""
    key = (_hashable(account), _hashable(endpoint), _hashable(vars(config)))

    def client() -> S3Client:
        mine = (os.getpid(), key)
        with _lock:
            found = _clients.get(mine)
            if found is None:
                found = _clients[mine] = _make(account, endpoint, config)
            return found

    return client


def _make(account: dict[str, Any], endpoint: dict[str, Any], config: Config) -> S3Client:
    if account.get("profile_name"):
        session = boto3.Session(profile_name=account["profile_name"])
    else:
        session = boto3.Session(**{name: value for name, value in account.items() if value})
    # A copy, since botocore writes into `retries`: the same options would be others the next time.
    client = session.client("s3", config=copy.deepcopy(config), **endpoint)
    watch_deadlines(client)
    return client


def _hashable(values: dict[str, Any]) -> Hashable:
    return tuple(sorted((name, repr(value)) for name, value in values.items()))
