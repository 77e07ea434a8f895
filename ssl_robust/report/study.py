"""The page of a study, finished or not: three answers, and the curves, tables and diagrams that they come from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ssl_robust.report.plots import Curve, plot
from ssl_robust.report.study_plots import Points, critical_differences, scatter
from ssl_robust.study.measured import CLEAN
from ssl_robust.study.summary import DIFFICULTIES, summarise
from ssl_robust.study.words import percent, plain

_REFERENCE = 3  # color of what everything is measured against
_COLORS = (1, 2, 4, 5, 6)
_MOST_BANDS = 3  # curves beyond which bands would hide one another
_MOST = 1 + len(_COLORS)  # curves in a plot: more would need a color twice
_TITLES = {"init": "encoders", "strategy": "strategies"}
_Row = Mapping[str, Any]


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `study.html` and `study.md`.

    Args:
        directory: of the study.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    found = summarise(directory, run.get("config", {}).get("statistics"))
    return {
        "found": found,
        "titles": _TITLES,
        "n_drawn": _MOST,
        "tables": [{**each, "title": _title(each), "plots": _curves(found, each, "best"),
                    "last_plots": _curves(found, each, "last")} for each in found["tables"]],
        "gains": {axis: [row for row in found[f"{axis}_gains"] if row["set"] is None] for axis in _TITLES},
        "robustness": (fallen := [{**row, "reached": _reached(row)} for row in found["robustness"]]),
        "others": [row for row in fallen if sum(row[axis] == found["reference"][axis] for axis in _TITLES) == 1],
        "memorisation": _memorisation(found),
        "ranks": [critical_differences(each["names"], each["ranks"], each["critical_difference"],
                                       title=f"Average rank of {_TITLES[each['axis']]} (1 = best)")
                  for each in found["rankings"]],
        "costs": [each for axis in _TITLES if (each := _cost(found, axis))],
        "difficulties": _difficulties(found["difficulty"]),
    }  # fmt: skip


def _reached(row: _Row) -> tuple[str, ...]:
    """Estimate and ends of the rate at which too much is lost: `> 40 %` where that was not reached; a dash alone."""
    if not row["rate_at"]:
        return ("–", "", "")
    values = [row["rate_at"][key] for key in ("estimate", "low", "high")]
    shown = [percent(value) if math.isfinite(value) else f"> {percent(row['highest'])}" for value in values]
    return (shown[0], "", "") if math.isnan(values[1]) or math.isinf(values[1]) else tuple(shown)


def _title(table: _Row) -> str:
    return (
        f"{table['set']}, {plain(table['noise'])} noise" if table["noise"] != CLEAN else f"{table['set']}, clean labels"
    )


def _colors(order: Iterable[str]) -> dict[str, int]:
    """Names, the reference first, the best next -> a color for as many as a plot can hold, the same in all plots."""
    return dict(zip(order, (_REFERENCE, *_COLORS), strict=False))


def _axes(found: _Row) -> list[tuple[str, str]]:
    """Axes on which there is something to compare, and what is held fixed; inits where there is nothing."""
    both = [("init", "strategy"), ("strategy", "init")]
    return [each for each in both if len(found["order"][each[0]]) > 1] or both[:1]


def _curves(found: _Row, table: _Row, which: str) -> list[Markup]:
    """Balanced accuracy by noise rate: the inits with the reference strategy, the strategies from the reference."""
    plots = []
    for axis, fixed in _axes(found):
        value, colors = found["reference"][fixed], _colors(found["order"][axis])
        rows = [row for row in found["accuracies"] if row["set"] == table["set"] and row[axis] in colors
                and row["noise"] in (table["noise"], CLEAN) and row[fixed] == value]  # fmt: skip
        if len({row["rate"] for row in rows}) < 2:
            continue
        names = {row[axis] for row in rows}
        curves = [_curve(name, sorted((row for row in rows if row[axis] == name), key=lambda row: row["rate"]), which,
                         colors[name], band=len(names) <= _MOST_BANDS) for name in colors if name in names]  # fmt: skip
        title = f"{'Encoders' if axis == 'init' else 'Strategies'}, {which.upper()}"
        plots.append(plot(curves, x=f"wrong labels in training ({plain(value)})", title=title, percent_x=True,
                          names_below=True))  # fmt: skip
    return plots


def _curve(name: str, rows: list[_Row], which: str, color: int, *, band: bool) -> Curve:
    def column(key: str) -> list[float]:
        return [row[which][key] for row in rows]

    ends = {"low": column("low"), "high": column("high")} if band else {}
    return Curve(plain(name), [row["rate"] for row in rows], column("estimate"), color=color,
                 dashed=color == _REFERENCE, marked=True, **ends)  # fmt: skip


def _memorisation(found: _Row) -> list[Markup]:
    """By set, noise and axis one plot of the wrong labels that are answered as given."""
    plots, rows, reference = [], found["memorisation"], found["reference"]
    for key in dict.fromkeys((row["set"], row["noise"], row["rate"]) for row in rows):
        at = [row for row in rows if (row["set"], row["noise"], row["rate"]) == key]
        for axis, fixed in _axes(found):
            colors = _colors(found["order"][axis])
            mine = [row for row in at if row[fixed] == reference[fixed] and row[axis] in colors]
            if not mine:
                continue
            mine.sort(key=lambda row: list(colors).index(row[axis]))
            curves = [Curve(plain(row[axis]), range(1, len(row["mean"]) + 1), row["mean"], color=colors[row[axis]],
                            dashed=row[axis] == reference[axis], marked=True,
                            low=row["low"] if len(mine) <= _MOST_BANDS else None, high=row["high"])
                      for row in mine]  # fmt: skip
            title = f"{key[0]}, {100 * key[2]:.0f} % {plain(key[1])}"
            plots.append(plot(curves, x=f"epoch ({plain(reference[fixed])})", title=title, names_below=True))
    return plots


def _cost(found: _Row, axis: str) -> Markup | None:
    """Gain over the reference against minutes: those of a training, or of the pretraining."""
    rows = [row for row in found[f"{axis}_gains"] if row["set"] is None]
    minutes = found["costs"][axis]
    rows = [row for row in rows if minutes.get(row[axis], float("nan")) == minutes.get(row[axis], float("nan"))]
    if not rows:
        return None
    colors = _colors(found["order"][axis])
    kinds = [(row[axis], colors[row[axis]], [row]) for row in rows if row[axis] in colors]
    if others := [row for row in rows if row[axis] not in colors]:
        kinds.append(("others", _REFERENCE, others))
    points = [Points(plain(name), [minutes[row[axis]] for row in mine], *_columns(mine), color)
              for name, color, mine in kinds]  # fmt: skip
    x = "minutes of a training" if axis == "strategy" else "minutes of the pretraining"
    return scatter(points, x=x, title=f"Gain over {plain(found['reference'][axis])}", zero=True)


def _columns(rows: list[_Row]) -> tuple[list[float], list[float], list[float]]:
    return [row["estimate"] for row in rows], [row["low"] for row in rows], [row["high"] for row in rows]


def _difficulties(rows: list[_Row]) -> list[Markup]:
    """What noise takes per ten points against each measure of difficulty: a point per init and noise."""
    plots = []
    colors = dict(zip(sorted({row["set"] for row in rows}), itertools.cycle(_COLORS), strict=False))
    for name, title in DIFFICULTIES.items():
        there = [row for row in rows if name in row and row[name] == row[name]]
        points = []
        for of_set in sorted({row["set"] for row in there}):
            mine = [row for row in there if row["set"] == of_set]
            drops = _columns([row["drop_per_ten"] for row in mine])
            points.append(Points(of_set, [row[name] for row in mine], *drops, colors[of_set]))
        if points:
            plots.append(scatter(points, x=title, title="Lost per 10 points of noise", zero=True))
    return plots
