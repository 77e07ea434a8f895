"""Where the page of a campaign is found: the same address after every start, so that pages that are open go on.

The token keeps other users of this computer and other pages of the browser out. It lies in the campaign's directory,
in a file that its owner alone may read. Where the port went to somebody else, the pages that were open have sent it to
them: the next address has another one.
"""

from __future__ import annotations

import errno
import hmac
import secrets
import socket
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ssl_robust.files import UserError, read_json, write_json

FILE = "address.json"
PROVE = "prove"  # first part of the path that asks for `proof`; no token is as short
_HOST = "127.0.0.1"


class Address(NamedTuple):
    """Port and token of a campaign's page."""

    port: int
    token: str

    def url(self, reader: str | None = None) -> str:
        """What a browser opens.

        Args:
            reader: whose name the page takes without asking; None: it asks.
        """
        return f"http://{_HOST}:{self.port}/{self.token}/" + (f"?reader={quote(reader, safe='')}" if reader else "")

    def answers(self) -> bool:
        """Whether a server of this campaign is there already; one that only has its port does not learn the token."""
        nonce = secrets.token_hex(16)
        connection = HTTPConnection(_HOST, self.port, timeout=2)
        try:
            connection.request("GET", f"/{PROVE}/{nonce}")
            answer = connection.getresponse()
            return answer.status == 200 and secrets.compare_digest(answer.read(1000), proof(self.token, nonce))
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def proof(token: str, nonce: str) -> bytes:
    """What only somebody who has the token can say to a text that was never said before (HMAC, RFC 2104)."""
    return hmac.digest(token.encode(), nonce.encode(), "sha256").hex().encode()


def last_address(place: Path) -> Address | None:
    """Where the page was the last time; None where it never was.

    Args:
        place: the campaign's directory.
    """
    if not (place / FILE).is_file():
        return None
    noted = read_json(place / FILE)
    return Address(int(noted["port"]), str(noted["token"]))


def take_address(place: Path, port: int) -> tuple[Address, socket.socket]:
    """A socket that listens on this computer alone, and its address, which is noted.

    Args:
        place: the campaign's directory.
        port: which one; 0: that of the last time if nobody else has it, else any.

    Raises:
        UserError: the port is not free.
    """
    last = last_address(place)
    if port == 0 and last is not None:
        try:
            listening = _listen(last.port)
        except OSError:
            listening = _listen(0)
    else:
        try:
            listening = _listen(port)
        except (OSError, OverflowError) as error:
            used = getattr(error, "errno", None) == errno.EADDRINUSE
            why = "is in use by another program" if used else f"cannot be used ({error})"
            raise UserError(f"port={port} {why}; give another one, or port=0 for any that is free") from None
    taken = listening.getsockname()[1]
    address = Address(taken, last.token if last and last.port == taken else secrets.token_urlsafe(24))
    write_json(place / FILE, address._asdict(), private=True)
    return address, listening


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":  # where SO_REUSEADDR would share the port with others
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that was killed a moment ago
        listening.bind((_HOST, port))
        listening.listen(100)
    except BaseException:
        listening.close()
        raise
    return listening
