"""Which Redis does an alias of Django's `CACHES` mean?

Only its connection is used; its `KEY_PREFIX` keeps projects apart that share a Redis and name their buckets alike.
"""

from __future__ import annotations

from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.redis import RedisCache
from django.core.exceptions import ImproperlyConfigured


def redis_client(alias: str, *, where: str) -> Any:
    """Return a client for the Redis to which a cache writes: Django's own backend, or django-redis.

    Raises: `ImproperlyConfigured` naming what it found instead.
    """
    cache = _cache(alias, where=where)
    if isinstance(cache, RedisCache):
        return cache._cache.get_client(None, write=True)
    if type(cache).__module__.partition(".")[0] == "django_redis":
        return cache.client.get_client(write=True)
    raise ImproperlyConfigured(
        f"{where}['index_cache'] is {alias!r}, and CACHES[{alias!r}] is a {type(cache).__module__}."
        f"{type(cache).__qualname__}. Use django.core.cache.backends.redis.RedisCache or django_redis.cache.RedisCache."
    )


def redis_prefix(alias: str, *, where: str) -> str:
    """Return the `KEY_PREFIX` of a cache on Redis. Raises `ImproperlyConfigured` as `redis_client` does."""
    redis_client(alias, where=where)
    return str(_cache(alias, where=where).key_prefix)


def _cache(alias: str, *, where: str) -> Any:
    try:
        return caches[alias]
    except InvalidCacheBackendError as error:
        raise ImproperlyConfigured(f"{where}['index_cache'] is {alias!r}, which CACHES does not have.") from error
