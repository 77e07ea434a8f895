"""Curves as inline SVG whose colours follow the page, in light and dark."""

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
        canvas = FigureCanvasSVG(figure)
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
        buffer = io.StringIO()
        canvas.print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for stand_in, color in _COLORS.items():
        text = text.replace(stand_in, color)
    label = Markup.escape(f"{title} by {x}")
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" class="plot" ', 1))


def _draw(axes, curve: Curve) -> None:
    x, y = np.asarray(curve.x, dtype=float), np.asarray(curve.y, dtype=float)
    shown = np.isfinite(y)
    color = _SERIES[curve.color - 1]
    marker = "o" if shown.sum() <= 12 and not curve.dashed else ""
    axes.plot(x[shown], y[shown], color=color, linewidth=2, marker=marker, markersize=5,
              linestyle=(0, (4, 3)) if curve.dashed else "-", label=curve.name or "_nolegend_")  # fmt: skip
