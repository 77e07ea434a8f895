"""`ssl-robust review`: the page of a campaign, until Ctrl-C."""

from __future__ import annotations

import contextlib
import sys
import threading
import webbrowser
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_robust.files import printable, replacing
from ssl_robust.relabel.answer import reader_name
from ssl_robust.relabel.campaign import STAGE, read_campaign
from ssl_robust.relabel.review.address import last_address, take_address
from ssl_robust.relabel.review.app import make_app
from ssl_robust.relabel.review.desk import Desk
from ssl_robust.relabel.review.material import copies_of, labels_of, scans_of
from ssl_robust.relabel.review.pictures import Pictures
from ssl_robust.run import UserError, read_run

if TYPE_CHECKING:
    from omegaconf import DictConfig

_OPEN = "open.html"


def review(config: DictConfig) -> Path:
    """Serve the page on which experts read the scans of a campaign; an audit gets a campaign first.

    Args:
        config: composed from `configs/review.yaml`.

    Returns:
        The campaign's directory.

    Raises:
        UserError: there is no audit or campaign, its scans cannot be read, or an option does not fit.
    """
    from omegaconf import OmegaConf

    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    _check(settings)
    campaign = read_campaign(_place(settings))
    blind = campaign.blind if settings["blind"] is None else bool(settings["blind"])
    known = last_address(campaign.place)
    if known is not None and known.answers():
        _show(known.url(settings["annotator"]), campaign.place, open_it=settings["open"])
        print("The page is served already; this command has nothing left to do.")
        return campaign.place
    manifest = scans_of(campaign)
    desk = Desk(
        campaign, blind=blind, loan=60.0 * settings["loan_minutes"], labels=labels_of(campaign, manifest),
        copies=copies_of(campaign, manifest),
    )  # fmt: skip
    address, listening = take_address(campaign.place, settings["port"])
    with contextlib.closing(listening):
        _show(address.url(settings["annotator"]), campaign.place, open_it=settings["open"])
        print(f"{_read_so_far(desk)}. Ctrl-C ends it; every answer is on the disk as soon as it is given.", flush=True)
        _serve(make_app(desk, Pictures(manifest), address.token), listening)
    print(f"\n{_read_so_far(desk)}")
    return campaign.place


def _read_so_far(desk: Desk) -> str:
    done = desk.progress("")
    return f"{done['done']:,} of {done['shown']:,} scans read"


def _place(settings: dict[str, Any]) -> Path:
    """The campaign's directory; that of an audit is made now, or was made before."""
    given = Path(settings["run"]).expanduser()
    run = read_run(given, stage=("audit", STAGE))
    if run["stage"] == STAGE:
        return given
    from ssl_robust.relabel.stage import start_review  # takes the probes' libraries in, which showing does not need

    out = Path(settings["out"])
    if (out / "campaign.json").is_file() and not settings["overwrite"]:
        if _same(read_campaign(out).audit, given):
            print(f"Continues the review of this audit in {printable(str(out))}", file=sys.stderr)
            return out
        raise UserError(f"out={out} holds the review of another audit; choose another, e.g. out={given}-review")
    return start_review(
        given, out, blind=bool(settings["blind"]), seed=settings["seed"], overwrite=settings["overwrite"]
    )


def _same(first: str | Path, second: str | Path) -> bool:
    return Path(first).expanduser().resolve() == Path(second).expanduser().resolve()


def _check(settings: dict[str, Any]) -> None:
    name, port = settings["annotator"], settings["port"]
    if name is not None:
        try:
            settings["annotator"] = reader_name(str(name))
        except ValueError as error:
            raise UserError(f"annotator={error}, or leave it out and the page asks") from None
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
        raise UserError(f"port={port} does not fit; expected a whole number up to 65535, or 0 for any that is free")
    minutes = settings["loan_minutes"]
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes > 0:
        raise UserError(f"loan_minutes={minutes} does not fit; expected a number above 0")


def _show(url: str, place: Path, *, open_it: bool) -> None:
    """Say where the page is, and open it a moment later, when the server is there."""
    print(f"\nReview: {url}", flush=True)
    if open_it:
        opener = threading.Timer(0.5, webbrowser.open, [_leading_to(url, place)])
        opener.daemon = True
        opener.start()


def _leading_to(url: str, place: Path) -> str:
    """Address of a file that leads on: what starts a browser has its address where all users see it (`ps`)."""
    with replacing(place / _OPEN, private=True) as temporary:
        page = f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={escape(url)}">\n'
        temporary.write_text(page, encoding="utf-8")
    return (place / _OPEN).resolve().as_uri()


def _serve(app: Any, listening: Any) -> None:
    import uvicorn

    # No access log: its lines would tell who read which scan, and the token.
    settings = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", server_header=False,
                              timeout_graceful_shutdown=5)  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=[listening])
