"""Labels -> arrays that cleanlab takes, row i of each being the same scan."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ssl_robust.data.columns import read_table
from ssl_robust.data.manifest import Manifest
from ssl_robust.files import UserError, existing
from ssl_robust.run import read_run


def write_cleanlab(manifest: Manifest, out: Path, *, place: Path, probabilities: str | None) -> str:
    """Write labels.npy, sample_ids.npy, classes.json and, where probabilities are given, pred_probs.npy.

    cleanlab knows no missing label, so that only labelled scans (and of these only those with probabilities) are in it.

    Args:
        manifest: the scans.
        out: the folder to write into.
        place: what that folder will be called.
        probabilities: a `finetune` run, whose predictions.csv holds those of the test scans; or such a CSV of any
            model: `sample_id`, and `p_<class>` for each class.

    Returns:
        How to read it.

    Raises:
        UserError: no scan is labelled, or the probabilities are of other scans or classes.
    """
    if "suggested_label" in manifest.table:
        raise UserError("to=cleanlab has no place for an audit; take audit= away")
    codes, ids = manifest.codes(), manifest.table["sample_id"].to_numpy(dtype=object)
    rows = np.flatnonzero(codes >= 0)
    if not len(rows):
        raise UserError("no scan has a label, and cleanlab judges labels; give data with labels")
    if probabilities is not None:
        rows, values = _probabilities(probabilities, ids, rows, manifest.classes)
        np.save(out / "pred_probs.npy", values)
    np.save(out / "labels.npy", codes[rows])
    np.save(out / "sample_ids.npy", ids[rows].astype(str))
    (out / "classes.json").write_text(json.dumps(list(manifest.classes), ensure_ascii=False), encoding="utf-8")
    if left := len(codes) - len(rows):
        what = "without a label" if probabilities is None else "without a label or without probabilities"
        print(f"Left out {left:,} scans {what}", flush=True)
    if probabilities is None:
        return (f"labels = numpy.load({str(place / 'labels.npy')!r}); cleanlab wants pred_probs too, which "
                "to.probabilities= writes")  # fmt: skip
    loaded = ", ".join(f"numpy.load({str(place / name)!r})" for name in ("labels.npy", "pred_probs.npy"))
    return f"cleanlab.filter.find_label_issues({loaded})"


def _probabilities(
    given: str, ids: np.ndarray, rows: np.ndarray, classes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have probabilities, and their (n, K) float64."""
    path = existing(given, "to.probabilities", folder=None)
    if path.is_dir():
        read_run(path, stage="finetune")
        path = existing(path / "predictions.csv", "to.probabilities")
    table = read_table(path)
    names = [f"p_{name}" for name in classes]
    if missing := [name for name in ("sample_id", *names) if name not in table]:
        raise UserError(f"{path} has no column {missing[0]!r}; expected sample_id and p_<class> for each class")
    found = {name: row for row, name in enumerate(table["sample_id"])}
    kept = np.array([row for row in rows if ids[row] in found], dtype=np.int64)
    if not len(kept):
        raise UserError(f"{path} holds none of these scans; give the run that was made with the same data=")
    try:
        values = table[names].to_numpy(dtype=np.float64, na_value=np.nan)[[found[ids[row]] for row in kept]]
    except ValueError as error:
        raise UserError(f"{path} holds a probability that is no number ({error}); write it again") from None
    if not np.isfinite(values).all():
        raise UserError(f"{path} lacks a probability; expected one for each scan and class")
    return kept, values
