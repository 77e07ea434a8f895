"""`fail_above=`: whether an audit found more wrong labels than a data pipeline is to let through."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_robust.run import AboveLimit, UserError


def check_limit(limit: Any) -> None:
    """Say before anything is computed that no rate can be compared with it.

    Raises:
        UserError: it is no share.
    """
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 <= limit <= 1:
        raise UserError(f"fail_above={limit} does not fit; expected a share of the labels, e.g. 0.05")


def rate_found(summary: Mapping[str, Any]) -> tuple[float, str]:
    """The rate of wrong labels that an audit tells, and what it is: the estimate, else the share of flagged labels.

    Args:
        summary: the values of audit.json.

    Returns:
        The rate in [0, 1] and one phrase.
    """
    estimate = (summary.get("estimate") or {}).get("rate")
    if estimate is not None and estimate.get("estimate") is not None:
        return float(estimate["estimate"]), "of the labels are estimated to be wrong"
    unjudged = sum(each["n"] for each in summary.get("classes", ()) if not each.get("judged", True))
    rate = summary["n_flagged"] / max(1, summary["n_labelled"] - unjudged)
    return rate, "of the labels are flagged (no estimate is possible)"


def refuse_above(limit: float | None, summary: Mapping[str, Any], out: Path) -> None:
    """End a finished audit as failed where it found more wrong labels than `limit`.

    The estimate itself is compared, not a bound of its interval: a pipeline that must be sure asks for a lower limit.

    Args:
        limit: largest share that is let through; None: any.
        summary: the values of audit.json.
        out: the run directory, all files of which are written.

    Raises:
        AboveLimit: the rate is above it.
    """
    if limit is None:
        return
    classes = summary.get("classes", ())
    if classes and not any(each["n"] and each.get("judged", True) for each in classes):
        raise AboveLimit(
            f"no label could be judged, and fail_above={limit:g} is to hold; see {out / 'audit.json'}", out
        )
    rate, words = rate_found(summary)
    if rate > limit:
        raise AboveLimit(f"{rate:.2%} {words}, more than fail_above={limit:g} allows; read {out / 'report.html'}", out)
