"""Who may ask: this computer's own browser, with the token of the address, on behalf of no other page.

A page of any other origin can send requests to 127.0.0.1, and with DNS rebinding even read the answers; the token, the
name in `Host` and the origin each keep it out.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ssl_robust.relabel.review.address import PROVE, proof

_OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
_LARGEST = 64 * 2**10  # bytes of a request; an answer has 200
_HEADERS = {
    # Nothing from elsewhere and nothing inline, so that a text that slipped in as HTML neither runs nor calls out.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",  # scans of patients stay in no cache on disk
}


class Guard:
    """Passes on what may be asked, without the token; proves that it has it; answers everything else with 403.

    Args:
        app: what is guarded.
        token: first part of every path.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        _, _, path = scope["path"].partition("/")
        token, slash, rest = path.partition("/")
        if token == PROVE and slash and refusal(scope["method"], Headers(scope=scope)) is None:
            return await PlainTextResponse(proof(self._token, rest))(scope, receive, send_guarded)
        known = secrets.compare_digest(token.encode(), self._token.encode())
        reason = (
            refusal(scope["method"], Headers(scope=scope)) if known else "the address lacks its key, or has an old one"
        )
        if reason is not None or not slash:
            told = reason or "the address ends with a slash"
            refused = PlainTextResponse(f"{told}; open the address that ssl-robust review printed\n", 403)
            return await refused(scope, receive, send_guarded)
        await self._app({**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}, receive, send_guarded)


def refusal(method: str, headers: Mapping[str, str]) -> str | None:
    """Why a request is refused whose token is right; None: it is not.

    Args:
        method: of HTTP.
        headers: of the request, names in lower case.
    """
    host = headers.get("host", "")
    if host.rpartition(":")[0 if host.rpartition(":")[2].isdigit() else 2] not in _OWN_NAMES:
        return "the page was asked for by a name that is not this computer's own"
    if "origin" in headers and headers["origin"] != f"http://{host}":
        return "the request comes from another page"
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode")
    if site not in ("none", "same-origin") and not (method == "GET" and mode == "navigate"):  # a link may lead here
        return "the request comes from another page"
    if method == "POST":
        if headers.get("content-type") != "application/json":
            return "the request is no JSON"
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > _LARGEST:
            return "the request is too long"
    elif method not in ("GET", "HEAD"):
        return f"{method} means nothing here"
    return None
