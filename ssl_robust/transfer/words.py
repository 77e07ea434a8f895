"""What was found, in words: a table for the screen, and a sentence that says no more than the interval does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_robust.transfer.protocols import Protocol

MEASURE, PROTOCOL = "balanced_accuracy", "logistic"  # chosen beforehand, so that nobody picks the best of many
TITLES = {"random": "a random encoder", "histogram": "a histogram of the pixels"}
_FEW_PATIENTS = 20


def conclusions(rows: Sequence[Mapping[str, Any]], level: float) -> list[str]:
    """One sentence per baseline: better, worse, or not shown to be better.

    Args:
        rows: of `Results`.
        level: coverage of their intervals.
    """
    asked = [row for row in rows if (row["measure"], row["protocol"]) == (MEASURE, PROTOCOL) and row["minus"]]
    return [_conclusion(row, level) for row in asked]


def _conclusion(row: Mapping[str, Any], level: float) -> str:
    other = TITLES.get(row["minus"], row["minus"])
    value, low, high = row["value"], row["low"], row["high"]
    interval = f"{100 * level:g} % interval"
    if low > 0:
        return (
            f"The encoder is better than {other} by {value:.3f} ({low:.3f} to {high:.3f}): the {interval} excludes 0."
        )
    if high < 0:
        size = f"{-value:.3f} ({-high:.3f} to {-low:.3f})"
        return f"The encoder is worse than {other} by {size}: the {interval} excludes 0."
    found = f"The encoder is not shown to be better than {other}: the difference is {value:+.3f}"
    if low != low:
        return f"{found}, and one patient gives no interval."
    return f"{found}, and the {interval} ({low:+.3f} to {high:+.3f}) holds 0."


def cautions(
    *, n_test_groups: int, unit: str, is_random: bool, has_baselines: bool, trained_on: Sequence[str] = ()
) -> list[str]:
    """What a reader should know before the numbers are trusted.

    Args:
        n_test_groups: patients in test.
        unit: what is drawn for the intervals, patients or samples.
        is_random: whether the encoder is the random one itself.
        has_baselines: whether there are scans to make them of.
        trained_on: names of public sets that the encoder has learned from.
    """
    found = []
    if n_test_groups < _FEW_PATIENTS:
        found.append(f"the test split has {n_test_groups} {unit}; intervals from so few tend to be too narrow")
    if is_random:
        found.append("checkpoint=none is the random encoder itself, so its difference to a random encoder is 0")
    if not has_baselines:
        found.append("ready vectors come without scans, so no random encoder and no histogram stand beside them")
    if trained_on:
        found.append(f"the encoder has learned from {', '.join(trained_on)}: scans of these sets are recognised only "
                     "where every pixel is the same, and measures on them are too good")  # fmt: skip
    return found


def scarcities(protocols: Sequence[Protocol], classes: Sequence[str]) -> list[str]:
    """Shares of few labels that are less than one scan of some class.

    Args:
        protocols: of `Results`.
        classes: names in the order of their codes.
    """
    found = []
    for protocol in protocols:
        if len(protocol.scarce):
            named = ", ".join([str(classes[int(code)]) for code in protocol.scarce[:3]])
            more = ", …" if len(protocol.scarce) > 3 else ""
            found.append(f"{100 * protocol.share:g} % of the labels are less than one scan of {len(protocol.scarce)} "
                         f"of {len(classes)} classes ({named}{more}); each got at least one")  # fmt: skip
    return found


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Balanced accuracy by protocol and features, aligned for a screen.

    Args:
        rows: of `Results`.
    """
    shown = [row for row in rows if row["measure"] == MEASURE and not row["minus"]]
    cells: list[list[str]] = [["", "scans", *dict.fromkeys(row["features"] for row in shown)]]
    for name in dict.fromkeys(row["protocol"] for row in shown):
        mine = [row for row in shown if row["protocol"] == name]
        values = [f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})" for row in mine]
        cells.append([name, f"{mine[0]['n_train_scans']:,.0f}", *values])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    found = []
    for name, scans, *values in cells:
        padded = [text.ljust(width) for text, width in zip(values, widths[2:], strict=True)]
        found.append("  ".join([name.ljust(widths[0]), scans.rjust(widths[1]), *padded]).rstrip())
    return found
