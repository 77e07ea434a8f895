"""Curves and dots as inline SVG whose colours follow the page, in light and dark."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

# Stand-ins that are replaced in the finished SVG: a drawing has no access to the page's colours.
INK, GRID, _CARD = "#010101", "#020202", "#060606"
_SERIES = ("#030303", "#040404", "#050505", "#070707", "#080808", "#090909")
_MARKERS = "osD^vP"  # one for each color, so that nobody needs to tell colors apart
_COLORS = {
    INK: "var(--soft)",
    GRID: "var(--line)",
    _CARD: "var(--card)",
    **{s: f"var(--curve{i})" for i, s in enumerate(_SERIES, start=1)},
}
_SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "ssl-robust", "text.parse_math": False, "font.size": 11}


@dataclass(frozen=True)
class Curve:
    """One line of a plot; points that are not finite are left out.

    Attributes:
        name: in the legend; "" = not named there.
        x: (N,) positions.
        y: (N,) values.
        color: 1 to 6.
        dashed: a reference rather than a measurement.
        low: (N,) lower ends of a band around the line; None: no band.
        high: (N,) upper ends.
        marked: whether points have the marker of the color, where many curves meet in one plot.
    """

    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    color: int = 1
    dashed: bool = False
    low: Sequence[float] | np.ndarray | None = None
    high: Sequence[float] | np.ndarray | None = None
    marked: bool = False


@dataclass(frozen=True)
class Dots:
    """One kind of thing, a dot with an interval in each line of a plot.

    Attributes:
        name: in the legend.
        values: (n_lines,) estimates.
        low: (n_lines,) lower bounds; not finite = no interval.
        high: (n_lines,) upper bounds.
        color: 1, 2 or 3; each has a marker of its own, so that nobody needs to tell colors apart.
    """

    name: str
    values: Sequence[float] | np.ndarray
    low: Sequence[float] | np.ndarray
    high: Sequence[float] | np.ndarray
    color: int


def plot(
    curves: Sequence[Curve], *, x: str, title: str, percent_x: bool = False,
    y_range: tuple[float, float] | None = None, names_below: bool = False,
) -> Markup:  # fmt: skip
    """Curves -> one SVG element.

    Args:
        curves: drawn in this order.
        x: what the horizontal axis shows.
        title: what the vertical axis shows, written above it; also read out by screen readers.
        percent_x: whether positions are shares.
        y_range: lowest and highest value, by the data where None.
        names_below: the legend stands below the plot, where many curves would lie under it.
    """
    rows = (sum(bool(curve.name) for curve in curves) + 1) // 2 if names_below else 0
    with drawing(4.8, 2.9 + 0.22 * rows) as (figure, axes):
        for curve in curves:
            _draw(axes, curve)
        axes.set_title(title, loc="left", color=INK, fontsize=11)
        axes.set_xlabel(x, color=INK)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if percent_x:
            axes.set_xticks(sorted({float(value) for curve in curves for value in curve.x}))
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if y_range:
            axes.set_ylim(*y_range)
        if rows:
            legend_below(figure)
        elif any(curve.name for curve in curves):
            axes.legend(facecolor=_CARD, edgecolor="none", framealpha=1, labelcolor=INK, loc="best")
        return finished(figure, f"{title} by {x}")


def dot_plot(lines: Sequence[str], dots: Sequence[Dots], *, title: str, reference: tuple[str, float]) -> Markup:
    """Dots with intervals, a line of the plot for each name -> one SVG element, narrow enough for a phone.

    Args:
        lines: names from top to bottom.
        dots: drawn within each line from top to bottom.
        title: what the horizontal axis shows, written above the plot; also read out by screen readers.
        reference: name and position of a dashed vertical line, e.g. chance.
    """
    with drawing(4.2, 0.9 + 0.7 * len(lines)) as (figure, axes):
        axes.axvline(reference[1], color=INK, linewidth=1, linestyle=(0, (4, 3)), label=reference[0])
        for place, each in enumerate(dots):
            _draw_dots(axes, each, np.arange(len(lines)) + 0.22 * (place - (len(dots) - 1) / 2))
        axes.set_title(title, loc="left", color=INK, fontsize=11)
        axes.set_yticks(range(len(lines)), lines)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        legend_below(figure)
        return finished(figure, f"{title}: {', '.join(lines)}")


@contextlib.contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Figure, Any]]:
    """An empty figure and its axes in the manner of all plots.

    Args:
        width: inches; 4.8 fill a column of the page.
        height: inches.
    """
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        axes.tick_params(colors=INK, length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(GRID)
        yield figure, axes


def legend_below(figure: Figure) -> None:
    """Names of everything that has one, in two columns below the axes."""
    figure.legend(loc="outside lower center", ncols=2, frameon=False, labelcolor=INK, fontsize=10)


def style(color: int) -> tuple[str, str]:
    """Color and marker of the series 1 to 6."""
    return _SERIES[color - 1], _MARKERS[color - 1]


def finished(figure: Figure, label: str) -> Markup:
    """A figure -> one SVG element whose colors are the page's.

    Args:
        figure: from `drawing`.
        label: read out by screen readers.
    """
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for stand_in, color in _COLORS.items():
        text = text.replace(stand_in, color)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{Markup.escape(label)}" class="plot" ', 1))


def _draw_dots(axes, dots: Dots, at: np.ndarray) -> None:
    values, low, high = (np.asarray(each, dtype=float) for each in (dots.values, dots.low, dots.high))
    color, marker = style(dots.color)
    axes.hlines(at, low, high, color=color, linewidth=2)
    axes.plot(values, at, linestyle="none", marker=marker, markersize=6, color=color, label=dots.name)


def _draw(axes, curve: Curve) -> None:
    x, y = np.asarray(curve.x, dtype=float), np.asarray(curve.y, dtype=float)
    shown = np.isfinite(y)
    color, own = style(curve.color)
    marker = "" if shown.sum() > 12 else own if curve.marked else "" if curve.dashed else "o"
    if curve.low is not None and curve.high is not None:
        axes.fill_between(
            x, np.asarray(curve.low, float), np.asarray(curve.high, float), color=color, alpha=0.14, linewidth=0
        )
    axes.plot(x[shown], y[shown], color=color, linewidth=2, marker=marker, markersize=5,
              linestyle=(0, (4, 3)) if curve.dashed else "-", label=curve.name or "_nolegend_")  # fmt: skip
