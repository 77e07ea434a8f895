"""What a browser can ask of the server: the page, the scans, and the five things that a reader does."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ssl_robust.relabel.answer import LONGEST_NAME, reader_name
from ssl_robust.relabel.review.book import Showing
from ssl_robust.relabel.review.desk import Desk, Refused, Said
from ssl_robust.relabel.review.guard import Guard
from ssl_robust.relabel.review.pictures import Pictures

STATIC = Path(__file__).parent / "static"
_MOST_HELD = 50  # scans that a page may have before it
_LAST = 20  # answers that can be taken back after the page was loaded again
_LONGEST_ID = 100  # characters


def make_app(desk: Desk, pictures: Pictures, token: str) -> Guard:
    """The application, guarded.

    Args:
        desk: who is asked what.
        pictures: the scans.
        token: first part of every path.
    """
    pages = _Pages(desk, pictures)
    routes = [
        Route("/", pages.page),
        Route("/api/begin", pages.posted(pages.begin), methods=["POST"]),
        Route("/api/claim", pages.posted(pages.claim), methods=["POST"]),
        Route("/api/answer", pages.posted(pages.answer), methods=["POST"]),
        Route("/api/skip", pages.posted(pages.skip), methods=["POST"]),
        Route("/scan/{position:int}", pages.scan),
        Route("/scan/{position:int}/neighbors", pages.neighbors),
        Route("/scan/{position:int}/neighbor/{number:int}", pages.neighbor),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Guard(Starlette(routes=routes), token)


class _Pages:
    def __init__(self, desk: Desk, pictures: Pictures) -> None:
        self._desk, self._pictures = desk, pictures

    def posted(self, act: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable:
        """An endpoint that reads JSON, acts off the event loop, and answers in JSON.

        A page throws away what is answered with 400, and sends again after any other failure: a mistake in here must
        cost nobody an answer, so that 400 is for what was refused with intent, and for nothing else.
        """

        async def endpoint(request: Request) -> Response:
            try:
                with _understanding():
                    values = dict(json.loads(await request.body()))
                return JSONResponse(await run_in_threadpool(act, values))
            except Refused as error:
                return JSONResponse({"error": str(error)}, 400)

        return endpoint

    def page(self, request: Request) -> Response:
        return FileResponse(STATIC / "review.html")

    def begin(self, values: dict[str, Any]) -> dict[str, Any]:
        """What a page needs to know of the campaign; with the name of a reader also what they answered last."""
        desk = self._desk
        about = {"campaign": desk.campaign.place.resolve().name, "classes": desk.campaign.classes, "blind": desk.blind}
        if values.get("reader") is None:
            return about
        with _understanding():
            reader = _name(values["reader"])
        last = [{"id": name, "item": self._item(row)} for name, row in desk.last(reader, _LAST)]
        return {**about, "last": last, "progress": desk.progress(reader)}

    def claim(self, values: dict[str, Any]) -> dict[str, Any]:
        """More scans to read."""
        with _understanding():
            reader, held = _name(values["reader"]), [int(each) for each in values["held"]][:_MOST_HELD]
            n = min(int(values["n"]), _MOST_HELD)
        given, gone = self._desk.claim(reader, held, n)
        items = [self._item(row) for row in given]
        return {"items": items, "gone": [row + 1 for row in gone], "progress": self._desk.progress(reader)}

    def answer(self, values: dict[str, Any]) -> dict[str, Any]:
        """One answer, or one that is taken back."""
        with _understanding():
            said = Said(
                id=_text(values["id"], _LONGEST_ID), reader=_name(values["reader"]), position=int(values["position"]),
                answer=None if values["answer"] is None else str(values["answer"]), seconds=_seconds(values["seconds"]),
                undoes=None if values.get("undoes") is None else str(values["undoes"]),
                copy=None if values.get("copy") is None else int(values["copy"]),
            )  # fmt: skip
        return {"result": self._desk.answer(said), "progress": self._desk.progress(said.reader)}

    def skip(self, values: dict[str, Any]) -> dict[str, Any]:
        """Put a scan aside, or (position null) take up all that were put aside."""
        with _understanding():
            reader = _name(values["reader"])
            position = None if values["position"] is None else int(values["position"])
        if position is None:
            self._desk.take_up_skipped(reader)
        else:
            self._desk.skip(reader, position)
        return {"progress": self._desk.progress(reader)}

    def scan(self, request: Request) -> Response:
        return self._whole(self._showing(request).sample_id)

    def neighbor(self, request: Request) -> Response:
        neighbors = self._near(self._showing(request))
        number = request.path_params["number"]
        if number >= len(neighbors):
            raise HTTPException(404)
        return self._whole(neighbors[number])

    def neighbors(self, request: Request) -> Response:
        neighbors = self._near(self._showing(request))
        if not neighbors:
            raise HTTPException(404)
        return Response(self._pictures.strip(neighbors), media_type="image/png")

    def _whole(self, sample_id: str) -> Response:
        try:
            picture = self._pictures.whole(sample_id)
        except Exception as error:  # a reader's library raises anything; the sentence reaches whoever has the scans
            return PlainTextResponse(f"this scan cannot be read ({type(error).__name__})", 422)
        return Response(picture.values, media_type="application/octet-stream", headers=picture.headers)

    def _showing(self, request: Request) -> Showing:
        rows, position = self._desk.book.rows, request.path_params["position"]
        if not 0 < position <= len(rows) or rows[position - 1].sample_id not in self._pictures:
            raise HTTPException(404)
        return rows[position - 1]

    def _near(self, showing: Showing) -> list[str]:
        """Scans that stand beside it: its near-duplicates, then its neighbours."""
        copies = list(self._desk.copies_of(showing.sample_id))
        return copies + [each for each in showing.neighbors if each in self._pictures and each not in copies]

    def _item(self, row: int) -> dict[str, Any]:
        """What the page may know of a showing: where labels are hidden, no id either, since paths may name classes."""
        showing, desk = self._desk.book.rows[row], self._desk
        near = self._near(showing)
        item: dict[str, Any] = {"position": showing.position, "neighbors": len(near)}
        item["copies"] = len(desk.copies_of(showing.sample_id))
        if showing.shown == "adjudication":
            item["readers"] = [each.answer for each in desk.others(row)]
        if desk.blind:
            return item
        labels = [desk.label_of(each) for each in near]
        return {**item, "name": showing.sample_id, "label": showing.label, "suggested": showing.suggested,
                "p": showing.p, "labels": labels}  # fmt: skip


@contextlib.contextmanager
def _understanding() -> Iterator[None]:
    """Whatever goes wrong in here is the fault of what was sent."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise Refused(f"{type(error).__name__}: {error}") from None


def _text(value: Any, longest: int) -> str:
    """A text that fits on a line of a ledger.

    Raises:
        ValueError: another value, or an empty or a very long text, or one that cannot be printed.
    """
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise ValueError(f"expected a text of 1 to {longest} characters that can be printed")
    return value


def _name(value: Any) -> str:
    return reader_name(value) if isinstance(value, str) else _text(value, LONGEST_NAME)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("seconds is no number")
    return float(value)
