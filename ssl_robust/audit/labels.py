"""Material and labels as given -> the table of the audit with all its columns, and what else was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.audit.against import against
from ssl_robust.audit.estimate import as_record
from ssl_robust.audit.findings import other_rates, verdicts_on_patients, write_findings
from ssl_robust.audit.judged import Judged
from ssl_robust.audit.material import Material
from ssl_robust.audit.reference_run import Reference, patients_are_numbers
from ssl_robust.audit.table import ranked
from ssl_robust.data.votes import as_columns, share_of_readers
from ssl_robust.duplicates import look_at
from ssl_robust.noise.corruption import Corruption
from ssl_robust.noise.recorded import read_dynamics
from ssl_robust.run import UserError


@dataclass(frozen=True)
class Audited:
    """The result of an audit.

    Attributes:
        table: of audit.csv.
        how: how neighbours were found.
        judged: of the labelled samples; None where a finished audit judged.
        counts: further keys of audit.json.
    """

    table: pd.DataFrame
    how: dict[str, Any]
    judged: Judged | None
    counts: dict[str, Any]


def audit_labels(
    material: Material, corruption: Corruption, settings: dict[str, Any], out: Path, reference: Reference | None
) -> Audited:
    """Judge the labels and write what is found besides their order.

    Args:
        material: vectors, samples and their pixels.
        corruption: the labels as given.
        settings: of the stage.
        out: the run directory.
        reference: the finished audit that judges; None: the scans judge each other.

    Raises:
        UserError: these labels cannot be audited.
    """
    given, manifest = corruption.labels, material.manifest
    try:
        if reference is not None:
            numbered = patients_are_numbers(settings["data"])
            table, how = against(reference, material.vectors, manifest, given, settings=settings, numbered=numbered)
            audited = Audited(table, how, None, {})
        else:
            audited = _among_themselves(material, given, settings, out)
    except ValueError as error:
        raise UserError(f"the audit cannot be made: {error}") from None
    return Audited(_with_columns(audited.table, material, corruption), audited.how, audited.judged, audited.counts)


def _among_themselves(material: Material, given: np.ndarray, settings: dict[str, Any], out: Path) -> Audited:
    manifest, pixels = material.manifest, material.pixels
    classes = list(manifest.classes)
    rows = np.flatnonzero(given >= 0)
    ids = manifest.table["sample_id"].to_numpy(dtype=object)
    dynamics = None
    if settings["dynamics"] is not None:
        dynamics = read_dynamics(settings["dynamics"], ids[rows], np.asarray(classes, dtype=object)[given[rows]])
    look = None if pixels is None else look_at(pixels, rows, blank=settings["duplicates"]["blank"])
    files = None if pixels is None else manifest.file_codes()[rows]
    table, gathered, judged = ranked(
        material.vectors, pd.Categorical.from_codes(given, classes), groups=manifest.groups(), ids=ids,
        settings=settings, seed=settings["seed"], look=look, files=files, dynamics=dynamics, out=out,
    )  # fmt: skip
    said, patients = verdicts_on_patients(gathered, judged, np.asarray(classes, dtype=object), settings["patients"])
    if patients["n_wrong"]:
        table["patient_verdict"] = pd.Series(said, index=rows, dtype="string")
    counts = write_findings(out, gathered, manifest, rows, settings)
    record = as_record(judged.estimate, judged.why, classes)
    if judged.estimate is not None:
        record["other_rates"] = other_rates(gathered.evidence, pseudo_samples=settings["estimate"]["pseudo_samples"])
    return Audited(table, gathered.how, judged, {**record, **counts, "patients": patients})


def _with_columns(table: pd.DataFrame, material: Material, corruption: Corruption) -> pd.DataFrame:
    """With `path`; where there were several readers `agreement`, the share of those who looked that gave the label, and
    what each gave; `is_wrong`, where the truth of any label is known."""
    manifest, given = material.manifest, corruption.labels
    table = table.astype({"label": "string", "suggested_label": "string"})
    table.insert(1, "path", manifest.table["path"])
    if manifest.votes is not None:
        table["agreement"] = share_of_readers(manifest.votes, pd.Series(table["label"])).round(6)
        table = table.join(as_columns(manifest.votes))
    truth = manifest.codes("true_label")
    if corruption.kind != "none":
        truth = np.where(truth >= 0, truth, manifest.codes())
    known = (truth >= 0) & (given >= 0)
    if known.any():
        table["is_wrong"] = pd.array(given != truth, dtype="boolean")
        table.loc[~known, "is_wrong"] = pd.NA
    return table
