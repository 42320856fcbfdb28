"""A browser without a screen, of Python's own parts: it keeps cookies, finds forms, fills them in and sends them."""

import http.cookiejar
import secrets
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser

TIMEOUT = 60
"""Seconds to wait for an answer."""


@dataclass(slots=True, kw_only=True)
class Form:
    """What a form would send if somebody pressed its button at once."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer."""

    status: int
    address: str
    """Where the redirections ended."""
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def form(self, field_name: str) -> Form:
        """Return the form that has a field. Raises `LookupError`."""
        for form in _Forms.of(self.text):
            if field_name in form.fields or field_name in form.files:
                return form
        raise LookupError(f"{self.address} answered {self.status} and has no form with a field {field_name!r}.")


class Browser:
    """Visits one site."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            urllib.request.ProxyHandler({}),  # loopback is not behind anybody's proxy
        )

    def get(self, path: str) -> Page:
        """Return a page, whatever its status. Raises `OSError` if nobody answers."""
        return self._send(urllib.request.Request(urllib.parse.urljoin(self._root, path)))

    def submit(
        self,
        page: Page,
        form: Form,
        fields: dict[str, str] | None = None,
        files: dict[str, tuple[str, bytes]] | None = None,
    ) -> Page:
        """Fill in and send a form; files are a name and the bytes. Return the page after it."""
        boundary = secrets.token_hex(16)
        body = _multipart(form.fields | (fields or {}), files or {}, boundary)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Referer": page.address}
        address = urllib.parse.urljoin(page.address, form.action)
        return self._send(urllib.request.Request(address, data=body, headers=headers))

    def _send(self, request: urllib.request.Request) -> Page:
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return Page(status=answer.status, address=answer.url, body=answer.read())
        except urllib.error.HTTPError as answer:
            with answer:
                return Page(status=answer.code, address=answer.url, body=answer.read())


def _multipart(fields: dict[str, str], files: dict[str, tuple[str, bytes]], boundary: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    parts += [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, (file_name, content) in files.items()
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


class _Forms(HTMLParser):
    """Collects the forms of a page, as far as the admin's pages need it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    @classmethod
    def of(cls, text: str) -> list[Form]:
        parser = cls()
        parser.feed(text)
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(action=given.get("action", "")))
        elif tag == "input" and self.found and "name" in given:
            self._take_input(self.found[-1], given)

    def _take_input(self, form: Form, given: dict[str, str]) -> None:
        kind = given.get("type", "text")
        if kind == "file":
            form.files.append(given["name"])
        elif kind not in {"submit", "button"} and (kind not in {"checkbox", "radio"} or "checked" in given):
            form.fields[given["name"]] = given.get("value", "")
