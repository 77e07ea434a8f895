"""The page of an audit: how many labels are wrong, what reading them is worth, and the suspects themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ssl_robust.report.artefacts import read_thumbnails
from ssl_robust.report.audit_copies import read_copies, read_outliers
from ssl_robust.report.audit_figures import effort_curve, expected_finds, heat_map
from ssl_robust.report.audit_material import pictured, read_labels, tiles
from ssl_robust.report.audit_points import read_points
from ssl_robust.report.scripts import read_script
from ssl_robust.run import read_json

_WITHOUT_SCRIPT = 50  # suspects that are listed where the browser runs no script


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `audit.html`; what an older run has not written is left out of the page.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    summary, found = read_json(directory / "audit.json"), read_json(directory / "suspects.json")
    suspects, numbers = found["suspects"], pictured(found)
    labels = read_labels(directory)
    copies = read_copies(directory / "duplicates.csv", numbers)
    outliers = read_outliers(directory / "outliers.csv", numbers)
    places, others = read_points(
        directory / "map.npz", labels, [each["sample_id"] for each in suspects], numbers, seed=run.get("seed") or 0
    )
    shown = [*suspects, *(scan for group in copies["groups"] for scan in group["scans"]), *outliers["scans"]]
    near = [scan for each in suspects for scan in each["neighbors"]]
    large, small = ([each["thumbnail"] for each in scans] for scans in (shown, near))
    pictures = tiles(directory / "thumbnails.npz", large=large, small=small) if found["has_thumbnails"] else []
    script, policy = read_script("audit.js", "audit_map.js")
    effort = summary.get("effort") or []
    curve, first = effort_curve(effort), _first_reading(summary, effort)
    return {
        "summary": summary,
        "estimate": summary.get("estimate"),
        "classes": sorted(summary["classes"], key=lambda each: -each["flag_rate"]),
        "curve": curve,
        "first": first,
        "heat": heat_map(summary.get("transition")),
        "folder": "patient_pattern" in run["config"].get("data", {}),
        "n_unreadable": len(run.get("unreadable", [])),
        "suspects": suspects,
        "listed": suspects[:_WITHOUT_SCRIPT],
        "pictures": pictures,
        "copies": copies,
        "outliers": outliers,
        "verdicts": _verdicts(labels),
        "n_others": len(others),
        "has_map": bool(places),
        **_truth_shown(suspects),
        "script": script,
        "script_policy": policy,
        "data": {
            "classes": [each["name"] for each in summary["classes"]],
            "suspects": [_suspect(each, places.get(each["sample_id"])) for each in suspects],
            "others": others,
            "effort": curve["points"] if curve else [],
            "first": first["n"] if first else 0,
            "unit": "patients" if summary["groups_used"] else "scans",
        },
    }


def read_suspects(directory: Path) -> dict[str, Any]:
    """The suspects of an audit with their pictures, and how many of those shown are truly wrong.

    Args:
        directory: an audit's run directory.

    Returns:
        `suspects`; `thumbnails`, empty where only vectors were there; `n_wrong_shown`, None where no truth is known.
    """
    found = read_json(directory / "suspects.json")
    return {
        "suspects": found["suspects"],
        "thumbnails": read_thumbnails(directory / "thumbnails.npz") if found["has_thumbnails"] else [],
        **_truth_shown(found["suspects"]),
    }


def _truth_shown(suspects: list[dict[str, Any]]) -> dict[str, int | None]:
    known = [each["is_wrong"] for each in suspects if each["is_wrong"] is not None]
    return {"n_wrong_shown": sum(known) if known else None}


def _suspect(suspect: dict[str, Any], place: list[int] | None) -> dict[str, Any]:
    """What the script shows of a suspect: neither its path nor its patient."""
    kept = ("label", "suggested_label", "score", "rank", "is_wrong", "votes", "thumbnail")
    return {
        **{name: suspect[name] for name in kept if name in suspect},
        **{name: suspect.get(name) for name in ("p_mislabeled", "evidence", "patient_verdict")},
        "id": suspect["sample_id"],
        "neighbors": [[each["sample_id"], each["label"], each["thumbnail"]] for each in suspect["neighbors"]],
        "place": place,
    }


def _first_reading(summary: dict[str, Any], effort: list[dict[str, float]]) -> dict[str, float] | None:
    """What reading as many labels as are wrong, or as are suspect, is expected to find."""
    estimate = summary.get("estimate")
    n = summary["n_flagged"] if estimate is None else round(estimate["n_wrong"]["estimate"])
    if len(effort) < 2 or n < 1:
        return None
    return {"n": n, "found": expected_finds(effort, n)}


def _verdicts(labels: pd.DataFrame) -> list[tuple[str, int]]:
    """How many scans belong to patients of whom something is said."""
    if "patient_verdict" not in labels:
        return []
    return [(str(what), int(n)) for what, n in labels["patient_verdict"].dropna().value_counts().items()]
