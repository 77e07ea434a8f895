"""What only a study draws: points with intervals, and the critical-difference diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from ssl_robust.report.plots import GRID, INK, drawing, finished, legend_below, style
from ssl_robust.study.ranks import groups_alike

_LONGEST = 22  # letters of a name beside the diagram


@dataclass(frozen=True)
class Points:
    """Things of one kind in a plane, each with an interval of its height.

    Attributes:
        name: in the legend.
        x: (N,) positions.
        y: (N,) estimates.
        low: (N,) lower ends; not finite = no interval.
        high: (N,) upper ends.
        color: 1 to 6.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    color: int


def scatter(points: Sequence[Points], *, x: str, title: str, zero: bool) -> Markup:
    """Points -> one SVG element.

    Args:
        points: drawn in this order.
        x: what the horizontal axis shows.
        title: what the vertical axis shows.
        zero: whether a line at height 0 is drawn, for differences.
    """
    with drawing(4.8, 2.7 + 0.22 * ((len(points) + 1) // 2)) as (figure, axes):
        if zero:
            axes.axhline(0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        for each in points:
            color, marker = style(each.color)
            axes.vlines(each.x, each.low, each.high, color=color, linewidth=1.5)
            axes.plot(each.x, each.y, linestyle="none", marker=marker, markersize=6, color=color, label=each.name)
        axes.set_title(title, loc="left", color=INK, fontsize=11)
        axes.set_xlabel(x, color=INK)
        axes.margins(x=0.12)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        legend_below(figure)
        return finished(figure, f"{title} by {x}")


def critical_differences(names: Sequence[str], ranks: np.ndarray, difference: float, *, title: str) -> Markup:
    """Average ranks on a line, with a bar over all that are not told apart (Demšar 2006, figure 1).

    Args:
        names: best first.
        ranks: (k,) ascending.
        difference: the critical one.
        title: above the diagram.
    """
    k, groups = len(names), groups_alike(ranks, difference)
    half = (k + 1) // 2
    with drawing(4.8, 1.3 + 0.26 * half + 0.12 * len(groups)) as (figure, axes):
        axes.spines["bottom"].set_visible(False)
        axes.set_title(title, loc="left", color=INK, fontsize=11, pad=14)
        axes.set_yticks([])
        floor = -1.4 - 0.45 * len(groups)
        axes.set_ylim(floor - half, 1.8)
        axes.set_xlim(1 - 0.9 * (k - 1), k + 0.9 * (k - 1))
        axes.set_xticks([])
        axes.hlines(0, 1, k, color=INK, linewidth=1)
        for tick in range(1, k + 1):
            axes.vlines(tick, 0, 0.25, color=INK, linewidth=1)
            if (tick - 1) % (1 + (k - 1) // 8) == 0:  # so many numbers have room
                axes.text(tick, 0.4, str(tick), ha="center", va="bottom", color=INK, fontsize=9)
        for place, (name, rank) in enumerate(zip(names, ranks, strict=True)):
            left = place < half
            height = floor - (place if left else k - 1 - place)
            end = 1 - 0.08 * (k - 1) if left else k + 0.08 * (k - 1)
            axes.plot([rank, rank, end], [0, height, height], color=INK, linewidth=0.9)
            shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
            axes.text(end, height, f"{shown} {rank:.2f} " if left else f" {rank:.2f} {shown}", color=INK, fontsize=10,
                      ha="right" if left else "left", va="center")  # fmt: skip
        for row, (first, last) in enumerate(groups):
            axes.hlines(-0.6 - 0.45 * row, ranks[first] - 0.03, ranks[last] + 0.03, color=style(1)[0], linewidth=4)
        return finished(figure, f"{title}: " + ", ".join(f"{n} {r:.2f}" for n, r in zip(names, ranks, strict=True)))
