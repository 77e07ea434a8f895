"""Curves and dots as inline SVG whose colours follow the page, in light and dark."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

# Stand-ins that are replaced in the finished SVG: a drawing has no access to the page's colours.
_INK, _GRID, _CARD = "#010101", "#020202", "#060606"
_SERIES = ("#030303", "#040404", "#050505")
_COLORS = {
    _INK: "var(--soft)",
    _GRID: "var(--line)",
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
        color: 1, 2 or 3.
        dashed: a reference rather than a measurement.
    """

    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    color: int = 1
    dashed: bool = False


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
    curves: Sequence[Curve], *, x: str, title: str, percent_x: bool = False, y_range: tuple[float, float] | None = None
) -> Markup:
    """Curves -> one SVG element.

    Args:
        curves: drawn in this order.
        x: what the horizontal axis shows.
        title: what the vertical axis shows, written above it; also read out by screen readers.
        percent_x: whether positions are shares.
        y_range: lowest and highest value, by the data where None.
    """
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(4.8, 2.9), layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        for curve in curves:
            _draw(axes, curve)
        axes.set_title(title, loc="left", color=_INK, fontsize=11)
        axes.set_xlabel(x, color=_INK)
        axes.grid(axis="y", color=_GRID, linewidth=0.8)
        axes.tick_params(colors=_INK, length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(_GRID)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if percent_x:
            axes.set_xticks(sorted({float(value) for curve in curves for value in curve.x}))
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if y_range:
            axes.set_ylim(*y_range)
        if any(curve.name for curve in curves):
            axes.legend(facecolor=_CARD, edgecolor="none", framealpha=1, labelcolor=_INK, loc="best")
        return _svg(figure, f"{title} by {x}")


def dot_plot(lines: Sequence[str], dots: Sequence[Dots], *, title: str, reference: tuple[str, float]) -> Markup:
    """Dots with intervals, a line of the plot for each name -> one SVG element, narrow enough for a phone.

    Args:
        lines: names from top to bottom.
        dots: drawn within each line from top to bottom.
        title: what the horizontal axis shows, written above the plot; also read out by screen readers.
        reference: name and position of a dashed vertical line, e.g. chance.
    """
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(4.2, 0.9 + 0.7 * len(lines)), layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        axes.axvline(reference[1], color=_INK, linewidth=1, linestyle=(0, (4, 3)), label=reference[0])
        for place, each in enumerate(dots):
            _draw_dots(axes, each, np.arange(len(lines)) + 0.22 * (place - (len(dots) - 1) / 2))
        axes.set_title(title, loc="left", color=_INK, fontsize=11)
        axes.set_yticks(range(len(lines)), lines)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.grid(axis="x", color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_INK, length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(_GRID)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, labelcolor=_INK, fontsize=10)
        return _svg(figure, f"{title}: {', '.join(lines)}")


def _svg(figure: Figure, label: str) -> Markup:
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for stand_in, color in _COLORS.items():
        text = text.replace(stand_in, color)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{Markup.escape(label)}" class="plot" ', 1))


def _draw_dots(axes, dots: Dots, at: np.ndarray) -> None:
    values, low, high = (np.asarray(each, dtype=float) for each in (dots.values, dots.low, dots.high))
    color, marker = _SERIES[dots.color - 1], "osD"[dots.color - 1]
    axes.hlines(at, low, high, color=color, linewidth=2)
    axes.plot(values, at, linestyle="none", marker=marker, markersize=6, color=color, label=dots.name)


def _draw(axes, curve: Curve) -> None:
    x, y = np.asarray(curve.x, dtype=float), np.asarray(curve.y, dtype=float)
    shown = np.isfinite(y)
    color = _SERIES[curve.color - 1]
    marker = "o" if shown.sum() <= 12 and not curve.dashed else ""
    axes.plot(x[shown], y[shown], color=color, linewidth=2, marker=marker, markersize=5,
              linestyle=(0, (4, 3)) if curve.dashed else "-", label=curve.name or "_nolegend_")  # fmt: skip
