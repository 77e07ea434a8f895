"""The page of an audit: how many suspects, how far to trust the ranking, and the suspects themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssl_robust.report.artefacts import read_thumbnails
from ssl_robust.run import read_json


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `audit.html`.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    summary, shown = read_json(directory / "audit.json"), read_suspects(directory)
    return {
        "summary": summary,
        "classes": sorted(summary["classes"], key=lambda each: -each["flag_rate"]),
        "folder": "patient_pattern" in run["config"].get("data", {}),
        "n_unreadable": len(run.get("unreadable", [])),
        "n_flagged_shown": sum(each["label"] != each["suggested_label"] for each in shown["suspects"]),
        **shown,
    }


def read_suspects(directory: Path) -> dict[str, Any]:
    """The suspects of an audit with their pictures, and how many of those shown are truly wrong.

    Args:
        directory: an audit's run directory.

    Returns:
        `suspects`; `thumbnails`, empty where only vectors were there; `n_wrong_shown`, None where no truth is known.
    """
    found = read_json(directory / "suspects.json")
    suspects = found["suspects"]
    known = [each["is_wrong"] for each in suspects if each["is_wrong"] is not None]
    return {
        "suspects": suspects,
        "thumbnails": read_thumbnails(directory / "thumbnails.npz") if found["has_thumbnails"] else [],
        "n_wrong_shown": sum(known) if known else None,
    }
