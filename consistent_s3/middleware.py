"""Who changes files, wherever in a project: the user of the request.

MIDDLEWARE = [..., "django.contrib.auth.middleware.AuthenticationMiddleware", "consistent_s3.middleware.attribute"]
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from consistent_s3.attribution import attribution


@sync_and_async_middleware
def attribute(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Attribute what a request writes to its user; to nobody where nobody is logged in, or no users are kept.

    The user is asked for when something is written, so that a request that writes nothing costs no query. What the code
    says itself, by `attribution` or `author=`, counts before it.
    """
    if iscoroutinefunction(get_response):
        answer: Callable[[HttpRequest], Awaitable[HttpResponseBase]] = get_response

        async def attributed_async(request: HttpRequest) -> HttpResponseBase:
            with attribution(author=lambda: _author(request)):
                return await answer(request)

        return attributed_async

    def attributed(request: HttpRequest) -> HttpResponseBase:
        with attribution(author=lambda: _author(request)):
            response: HttpResponseBase = get_response(request)
            return response

    return attributed


def _author(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    return "" if user is None else str(user.get_username())
