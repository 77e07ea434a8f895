"""What an audit found besides the order of labels: copies, outliers, whole patients, and a map; as files of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.audit.duplicates import count_duplicates, duplicates_table
from ssl_robust.audit.evidence import Evidence
from ssl_robust.audit.gathered import Gathered
from ssl_robust.audit.judged import Judged
from ssl_robust.audit.map import write_map
from ssl_robust.audit.outliers import outlier_scores, outliers_table
from ssl_robust.audit.patients import patient_verdicts
from ssl_robust.data.manifest import Manifest
from ssl_robust.data.written import write_table
from ssl_robust.noise.confident_joint import confident_joint
from ssl_robust.noise.hoc import hoc


def write_findings(
    out: Path, gathered: Gathered, manifest: Manifest, rows: np.ndarray, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Write duplicates.csv, outliers.csv and map.npz.

    Args:
        out: the run directory.
        gathered: of the labelled samples.
        manifest: of all samples.
        rows: (N,) of it that have a label.
        settings: of the stage.

    Returns:
        Counts for audit.json: `duplicates` and `outliers`.
    """
    evidence = gathered.evidence
    about = {
        "ids": manifest.table["sample_id"].to_numpy(dtype=object)[rows],
        "labels": evidence.labels,
        "classes": np.asarray(manifest.classes, dtype=object),
    }
    copies = duplicates_table(
        gathered.clusters,
        splits=_known(manifest, "split", rows),
        patients=_codes(manifest, "patient_id", rows),
        **about,
    )
    write_table(out / "duplicates.csv", copies)
    scores = outlier_scores(evidence.neighbors, evidence.unit.lengths, limit=settings["outliers"]["limit"])
    outliers = outliers_table(scores, **about)
    write_table(out / "outliers.csv", outliers)
    write_map(out, evidence.unit, rows)
    return {"duplicates": count_duplicates(copies), "outliers": {"n": len(outliers)}}


def verdicts_on_patients(
    gathered: Gathered, judged: Judged, classes: np.ndarray, settings: Mapping[str, Any]
) -> tuple[np.ndarray, dict[str, int]]:
    """(N,) what to say of each scan's patient, None where nothing; and counts for audit.json.

    Args:
        gathered: of N labelled samples.
        judged: of the same.
        classes: (K,) names.
        settings: the node `patients` of the stage.
    """
    table, said = patient_verdicts(
        np.nan_to_num(judged.p_mislabeled), gathered.evidence.labels, judged.suggested, gathered.patients,
        classes=classes, **settings,
    )  # fmt: skip
    wrong = (table["verdict"] != "none").to_numpy()
    return said, {
        "n_several": len(table),
        "n_wrong": int(wrong.sum()),
        "n_scans": int(table["n"].to_numpy()[wrong].sum()),
    }


def other_rates(evidence: Evidence, *, pseudo_samples: float) -> dict[str, float]:
    """The share of wrong labels by published estimators, beside our own: upper figures where features confuse classes.

    Args:
        evidence: of N labelled samples.
        pseudo_samples: see `noise.hoc.hoc`.

    Returns:
        `confident_joint` and, where there are two neighbours, `hoc`.
    """
    labels, n_classes = evidence.labels, evidence.n_classes
    rates = {"confident_joint": confident_joint(evidence.probabilities, labels, n_classes=n_classes).rate}
    if evidence.neighbors.indices.shape[1] >= 2:
        rates["hoc"] = hoc(evidence.neighbors, labels, n_classes=n_classes, pseudo_samples=pseudo_samples).rate
    return {name: round(rate, 6) for name, rate in rates.items()}


def _known(manifest: Manifest, column: str, rows: np.ndarray) -> np.ndarray | None:
    values = manifest.table[column]
    return values.to_numpy(dtype=object)[rows] if bool(values.notna().any()) else None


def _codes(manifest: Manifest, column: str, rows: np.ndarray) -> np.ndarray | None:
    values = manifest.table[column]
    return pd.factorize(values)[0][rows] if bool(values.notna().any()) else None
