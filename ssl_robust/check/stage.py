"""The `check` stage: scans and their table -> what is in them, and what would deceive a training."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_robust.check.appearance import appearance
from ssl_robust.check.artefacts import summary, write_rows, write_shown
from ssl_robust.check.counts import count, judge_counts
from ssl_robust.check.duplicates import find_duplicates, judge_duplicates
from ssl_robust.check.files import file_facts, folders, tables
from ssl_robust.check.findings import SEVERITIES, Finding, by_severity, counted, found
from ssl_robust.check.options import refuse_impossible
from ssl_robust.check.readers import describe_readers, judge_readers
from ssl_robust.check.shortcuts import find_shortcuts, judge_shortcuts, properties
from ssl_robust.check.values import describe_values, judge_values
from ssl_robust.data.held import by_kind
from ssl_robust.data.manifest import complete
from ssl_robust.data.scanset import ScanSet, open_scans
from ssl_robust.run import NotFine, Run, read_json, write_json
from ssl_robust.training.resuming import is_finished

if TYPE_CHECKING:
    from omegaconf import DictConfig


def check(config: DictConfig) -> Path:
    """Write check.json, check.csv and what the report shows.

    Args:
        config: composed from `configs/check.yaml`.

    Returns:
        The run directory.

    Raises:
        UserError: a mistake in the options, or no scan can be read.
        NotFine: the run is complete and holds a problem, and `strict` asks for an error then.
    """
    from omegaconf import OmegaConf

    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    refuse_impossible(settings)
    out = Path(config.out)
    if not is_finished(settings, stage="check"):
        with Run(out, stage="check", config=settings, resume=config.resume, overwrite=config.overwrite) as run:
            _write(run, settings)
    n = read_json(out / "check.json")["n_findings"]["problem"]
    if settings["strict"] and n:
        raise NotFine(f"{counted(n, 'problem')} in the data, and strict=true takes them for an error; see {out}", out)
    return out


def _write(run: Run, settings: Mapping[str, Any]) -> None:
    started = time.monotonic()
    scans = open_scans(_lenient(settings["data"]))
    scans.say_found()
    manifest = scans.manifest
    run.note(data_fingerprint=manifest.fingerprint, n_scans=len(manifest), unreadable=scans.unreadable)
    ids = manifest.table["sample_id"].to_numpy(dtype=object)
    # One part after another: what it finds is noted under its name, and what that means is told.
    counts, facts = count(manifest), file_facts(manifest)
    rule, n_resamples = complete(settings["data"])["consensus"], settings["readers"]["n_resamples"]
    readers = describe_readers(manifest, rule=rule, n_resamples=n_resamples, seed=settings["seed"])
    look = appearance(scans, facts[["height", "width"]].to_numpy())
    values = describe_values(look, scans, facts, settings)
    blank = np.isin(np.arange(len(ids)), values["blank"])
    clusters = find_duplicates(look, manifest, ~blank, settings["duplicates"], seed=settings["seed"])
    named = properties(facts, folders(manifest), look)
    shortcuts = find_shortcuts(named, manifest.codes(), manifest.groups(), settings["shortcuts"], seed=settings["seed"])
    findings = by_severity([
        *_judge_unreadable(scans, settings["data"]),
        *_tell_passed_over(manifest.passed_over),
        *judge_duplicates(clusters, ids, has_patients=manifest.has_patients),
        *judge_counts(counts, few_patients=settings["few_patients"], is_folder="patient_pattern" in settings["data"]),
        *judge_readers(readers, settings["readers"]),
        *judge_shortcuts(shortcuts, settings["shortcuts"]),
        *judge_values(values, ids, settings, has_window=manifest.source.files is not None),
    ])  # fmt: skip
    write_rows(run / "check.csv", scans, facts, look, values, clusters)
    shown = write_shown(run.path, scans, clusters, values["blank"], settings["n_shown"])
    write_json(run / "check.json", {
        "n": len(ids),
        "findings": [asdict(each) for each in findings],
        "n_findings": {name: sum(each.severity == name for each in findings) for name in SEVERITIES},
        "counts": counts,
        "readers": readers,
        "files": tables(facts),
        "values": {**values, **{name: len(values[name]) for name in ("blank", "saturated", "framed")}},
        "duplicates": summary(clusters),
        "shortcuts": [asdict(each) for each in shortcuts],
        "unreadable": scans.unreadable,
        "passed_over": dict(manifest.passed_over),
        "shown": shown,
        "image_size": scans.image_size,
        "seconds": round(time.monotonic() - started, 2),
    })  # fmt: skip
    for each in findings:
        print(f"{each.severity:<8}{each.text}", flush=True)


def _lenient(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data with what stops other stages let through: here it is told."""
    return {**complete(data), "max_unreadable": 1.0, "split_leaks": "allow"}


def _judge_unreadable(scans: ScanSet, data: Mapping[str, Any]) -> list[Finding]:
    n, lost = len(scans) + len(scans.unreadable), scans.unreadable
    if not lost:
        return []
    limit = complete(data)["max_unreadable"]
    stops = len(lost) > limit * n
    effect = f", more than data.max_unreadable={limit:g}, so that other stages stop" if stops else ""
    text = f"{counted(len(lost), 'scan')} of {n:,} cannot be read{effect}: repair them or take them out"
    return [found("problem" if stops else "look", "files", text, [each["sample_id"] for each in lost])]


def _tell_passed_over(kinds: Mapping[str, int]) -> list[Finding]:
    text = f"files that hold no picture are passed over by every stage: {by_kind(kinds)}"
    return [found("fine", "files", text)] if kinds else []
