"""One boto3 client for all storages with equal options: making one takes about 0.1 s and 10 MB.

Clients are safe in many threads (https://docs.aws.amazon.com/boto3/latest/guide/clients.html), resources are not, so
none is used. A forked process makes its own, since two processes must not share a connection.
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

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
    key = (_hashable(account), _hashable(endpoint), _hashable(vars(config)))
    with _lock:
        client = _clients.get(key)
        if client is None:
            if storage.session_profile:
                session = boto3.Session(profile_name=storage.session_profile)
            else:
                session = boto3.Session(**{name: value for name, value in account.items() if value})
            # A copy, since botocore writes into `retries`: the same options would be others the next time.
            client = session.client("s3", config=copy.deepcopy(config), **endpoint)
            _clients[key] = client
        return client


def _hashable(values: dict[str, Any]) -> Hashable:
    return tuple(sorted((name, repr(value)) for name, value in values.items()))
