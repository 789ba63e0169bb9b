"""Who may ask: under which name, from which page, with which token.

A web page elsewhere can make its reader's browser send requests to a server on the reader's own
machine. Two checks stop that: a name that is not the server's (DNS rebinding) is refused, and so is
whatever changes something for a page of another origin.
"""

import ipaddress
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.serve.refusals import Refusal
from pipeline.serve.settings import Settings

LOCAL = frozenset(("localhost", "127.0.0.1", "::1"))
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
OWN_SITES = frozenset(("same-origin", "none"))  # of Sec-Fetch-Site: ours, or typed by hand


class Gate:
    """ASGI middleware: what may not pass is refused in a sentence.

    Parameters
    ----------
    open_path : whether a path needs no token
    """

    def __init__(self, app: ASGIApp, settings: Settings, open_path: Callable[[str], bool]) -> None:
        self._app = app
        self._names = {name.lower() for name in settings.hosts} | LOCAL | {settings.host.lower()}
        self._any_address = _is_wildcard(settings.host)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.cors)
        self._token = settings.token
        self._open_path = open_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            try:
                self._check_host(headers)
                if scope["method"] not in SAFE_METHODS:
                    self._check_origin(headers)
                if self._token is not None and not self._open_path(scope["path"]):
                    self._check_token(headers, self._token)
            except Refusal as refusal:
                response = JSONResponse({"detail": str(refusal)}, refusal.status, refusal.headers)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check_host(self, headers: Headers) -> None:
        named = headers.getlist("host")
        name = host_name(named[0]) if len(named) == 1 else None
        if name is not None and ("*" in self._names or name in self._names):
            return
        if name is not None and self._any_address and _is_address(name):
            return
        raise Refusal(
            421,
            "This server does not answer under that name: ask it as localhost or by the address "
            "it listens on, or start it with --allow-host and the name.",
        )

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is None:
            ours = headers.get("sec-fetch-site", "none") in OWN_SITES
        else:
            ours = (
                urlsplit_netloc(origin) == headers["host"].lower()
                or origin.lower() in self._origins
            )
        if not ours:
            raise Refusal(
                403,
                "A page of another origin may not send this: start the server with --cors and "
                "that origin if it should.",
            )

    def _check_token(self, headers: Headers, token: str) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        same = secrets.compare_digest(given.strip().encode(), token.encode())
        if scheme.lower() != "bearer" or not same:
            raise Refusal(
                401,
                "This server asks for a token: send it in the header `Authorization: Bearer ...`.",
                {"WWW-Authenticate": "Bearer"},
            )


def host_name(text: str) -> str | None:
    """The name or address in a Host header, in lower case, without its port; None for nonsense."""
    try:
        parts = urlsplit(f"//{text}")
        parts.port  # noqa: B018 - raises for one that is no number
    except ValueError:
        return None
    plain = parts.netloc == text and parts.username is None and parts.password is None
    return parts.hostname if plain else None


def urlsplit_netloc(origin: str) -> str | None:
    """Host and port of an origin, in lower case; None for "null" and nonsense."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_wildcard(host: str) -> bool:
    """Whether it stands for all addresses of the machine."""
    return not host or (_is_address(host) and ipaddress.ip_address(host).is_unspecified)
