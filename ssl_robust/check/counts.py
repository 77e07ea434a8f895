"""How many scans, classes and patients there are, and how the splits share them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssl_robust.check.findings import Finding, counted, found, listed
from ssl_robust.data.manifest import Manifest
from ssl_robust.data.splits import SPLITS

_RARE = 10  # times fewer labels than the largest class


def count(manifest: Manifest) -> dict[str, Any]:
    """Numbers of scans by class, split and patient.

    Returns:
        `classes`: name, n, n_patients, n_groups (patients, and scans of nobody known) and splits (n each) of every
        class; `n_unlabelled`; `splits`: n of each;
        `patients`: n (None where none is known), n_unknown (scans), scans_each (median and maximum) and n_in_several
        (patients with scans in more than one split).
    """
    codes, groups, table = manifest.codes(), manifest.groups(), manifest.table
    splits = table["split"].to_numpy(dtype=object)
    known = table["patient_id"].notna().to_numpy(dtype=bool)
    classes = []
    for code, name in enumerate(manifest.classes):
        own = codes == code
        n_patients = len(np.unique(groups[own & known])) if known.any() else None
        shares = {split: int((own & (splits == split)).sum()) for split in SPLITS}
        n_groups = len(np.unique(groups[own]))
        about = {"name": name, "n": int(own.sum()), "n_patients": n_patients, "n_groups": n_groups}
        classes.append({**about, "splits": shares})
    return {
        "classes": classes,
        "n_unlabelled": int((codes < 0).sum()),
        "splits": {split: int((splits == split).sum()) for split in SPLITS},
        "patients": _patients(groups[known], splits[known], n_unknown=int((~known).sum())),
    }


def _patients(groups: np.ndarray, splits: np.ndarray, *, n_unknown: int) -> dict[str, Any]:
    if len(groups) == 0:
        return {"n": None, "n_unknown": n_unknown, "scans_each": None, "n_in_several": 0}
    patients, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    present = np.zeros((len(patients), len(SPLITS)), dtype=bool)
    for column, split in enumerate(SPLITS):
        present[inverse[splits == split], column] = True
    return {
        "n": len(patients),
        "n_unknown": n_unknown,
        "scans_each": {"median": float(np.median(sizes)), "maximum": int(sizes.max())},
        "n_in_several": int((present.sum(axis=1) > 1).sum()),
    }


def judge_counts(facts: dict[str, Any], *, few_patients: int, is_folder: bool) -> list[Finding]:
    """What the counts mean for training and testing.

    Args:
        facts: as `count` returns them.
        few_patients: a class with fewer patients (scans, where no patient is known) is named.
        is_folder: whether patients would be named by file names rather than by a column.
    """
    return [*_of_labels(facts), *_of_classes(facts, few_patients), *_of_patients(facts, is_folder=is_folder)]


def _of_labels(facts: dict[str, Any]) -> list[Finding]:
    sizes = [each["n"] for each in facts["classes"] if each["n"]]
    if not sizes:
        return [found("look", "labels", "No scan has a label: enough for pretraining, while an audit, a probe and "
                      "fine-tuning need them (sub-folders, or a column: data.columns.label=)")]  # fmt: skip
    findings = []
    if n := facts["n_unlabelled"]:
        findings.append(found("look", "labels", f"{counted(n, 'scan')} of {n + sum(sizes):,} without a label: only "
                              "pretraining learns from them; if they should have one, mend the table"))  # fmt: skip
    if len(sizes) == 1:
        findings.append(found("look", "labels", "All labels are of one class: enough for pretraining, while an audit, "
                              "a probe and fine-tuning compare classes"))  # fmt: skip
    elif max(sizes) > _RARE * min(sizes):
        largest = max(facts["classes"], key=lambda each: each["n"])
        findings.append(found("look", "labels", f"{largest['name']} has {largest['n'] / sum(sizes):.0%} of the labels, "
                              f"{max(sizes) / min(sizes):.0f} times as many as the rarest class: read balanced "
                              "accuracy and the recall of each class, not accuracy"))  # fmt: skip
    return findings


def _of_classes(facts: dict[str, Any], few: int) -> list[Finding]:
    findings, present = [], [each for each in facts["classes"] if each["n"]]
    known = facts["patients"]["n"] is not None
    small = {each["name"]: each["n_groups"] for each in present if each["n_groups"] < few}
    if small:
        thing = "patient" if known else "scan"
        named = listed([f"{name} {n}" for name, n in small.items()])
        findings.append(found("look", "labels", f"{counted(len(small), 'class')} with fewer than {few} {thing}s "
                              f"({named}): no number about them will be sure; join classes or find more "
                              "scans"))  # fmt: skip
    for split, severity in (("train", "problem"), ("val", "look"), ("test", "look")):
        absent = [each["name"] for each in present if not each["splits"][split]]
        if absent and facts["splits"][split] and len(present) > 1:
            effect = "nothing can learn them" if split == "train" else f"nothing is measured of them in {split}"
            scarce = all(each["n_groups"] < len(SPLITS) for each in present if each["name"] in absent)
            advice = "it takes a patient for each split" if scarce else "split again, e.g. without a column split"
            findings.append(found(severity, "splits", f"No scan of {listed(absent)} in {split}, so {effect}: {advice}"))
    return findings


def _of_patients(facts: dict[str, Any], *, is_folder: bool) -> list[Finding]:
    patients = facts["patients"]
    how = "data.patient_pattern=" if is_folder else "data.columns.patient_id="
    if patients["n"] is None:
        return [found("look", "patients", "No patient is known, so that scans of one patient may stand on both sides "
                      f"of a split and vouch for each other's labels: name them with {how}")]  # fmt: skip
    findings = []
    if n := patients["n_unknown"]:
        findings.append(found("look", "patients", f"{counted(n, 'scan')} without a patient: each counts as a patient "
                              "of its own; name them if they are not"))  # fmt: skip
    if n := patients["n_in_several"]:
        findings.append(found("problem", "patients", f"{counted(n, 'patient')} of {patients['n']:,} with scans in "
                              "more than one split, so that a test flatters: give each patient one split, or drop the "
                              "column split to have it made here"))  # fmt: skip
    else:
        findings.append(found("fine", "patients", f"{counted(patients['n'], 'patient')}, none of them in more than "
                              "one split"))  # fmt: skip
    return findings
