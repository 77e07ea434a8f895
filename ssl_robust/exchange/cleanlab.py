"""Labels -> arrays that cleanlab takes, row i of each being the same scan."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ssl_robust.data.columns import read_table
from ssl_robust.data.manifest import Manifest
from ssl_robust.exchange.audited import Audited
from ssl_robust.files import UserError, existing
from ssl_robust.run import read_run


def write_cleanlab(
    manifest: Manifest,
    out: Path,
    *,
    place: Path,
    probabilities: str | None,
    graph: bool | None,
    audited: Audited | None,
) -> str:
    """Write labels.npy, sample_ids.npy, classes.json and, where probabilities are given, pred_probs.npy.

    cleanlab knows no missing label, so that only labelled scans (and of these only those with probabilities, or that
    were audited) are in it. Of an audit there are the names that cleanlab uses: is_label_issue.npy, whether another
    class is more likely; label_quality.npy, 1 - score, lower = look first; suggested_labels.npy; and knn_graph.npz.

    Args:
        manifest: the scans.
        out: the folder to write into.
        place: what that folder will be called.
        probabilities: a `finetune` run, whose predictions.csv holds those of the test scans; or such a CSV of any
            model: `sample_id`, and `p_<class>` for each class.
        graph: write the neighbours of an audit; None: where it kept them and none of its scans is left out.
        audited: the audit whose columns the manifest has.

    Returns:
        How to read it.

    Raises:
        UserError: no scan is labelled, probabilities are of other scans or classes, or the audit kept no neighbours.
    """
    codes, ids = manifest.codes(), manifest.table["sample_id"].to_numpy(dtype=object)
    rows = np.flatnonzero(codes >= 0)
    if not len(rows):
        raise UserError("no scan has a label, and cleanlab judges labels; give data with labels")
    if audited is not None:
        rows = rows[manifest.table["rank"].notna().to_numpy()[rows]]
    if probabilities is not None:
        rows, values = _probabilities(probabilities, ids, rows, manifest.classes)
        np.save(out / "pred_probs.npy", values)
    if audited is not None:
        _write_audit(manifest, rows, out)
    graph = audited is not None and graph is not False and _write_graph(out, audited, ids[rows], must=graph is True)
    np.save(out / "labels.npy", codes[rows])
    np.save(out / "sample_ids.npy", ids[rows].astype(str))
    (out / "classes.json").write_text(json.dumps(list(manifest.classes), ensure_ascii=False), encoding="utf-8")
    if left := len(codes) - len(rows):
        what = "without a label" if probabilities is None else "without a label or without probabilities"
        print(f"Left out {left:,} scans {what}", flush=True)
    if graph:
        labels, edges = (str(place / name) for name in ("labels.npy", "knn_graph.npz"))
        return (f"cleanlab.Datalab({{'labels': numpy.load({labels!r})}}, label_name='labels').find_issues("
                f"knn_graph=scipy.sparse.load_npz({edges!r}))")  # fmt: skip
    if probabilities is None:
        return (f"labels = numpy.load({str(place / 'labels.npy')!r}); cleanlab wants pred_probs too, which "
                "to.probabilities=RUN of a finetune run writes")  # fmt: skip
    loaded = ", ".join(f"numpy.load({str(place / name)!r})" for name in ("labels.npy", "pred_probs.npy"))
    return f"cleanlab.filter.find_label_issues({loaded})"


def _write_graph(out: Path, audited: Audited, ids: np.ndarray, *, must: bool) -> bool:
    """Write the neighbours, and say so where they cannot be written and need not be."""
    from ssl_robust.exchange.knn_graph import write_knn_graph  # which takes FAISS in

    try:
        write_knn_graph(out / "knn_graph.npz", audited, ids)
    except UserError as error:
        if must:
            raise
        print(f"Without knn_graph.npz: {error}", flush=True)
        return False
    return True


def _write_audit(manifest: Manifest, rows: np.ndarray, out: Path) -> None:
    given, suggested = manifest.codes()[rows], manifest.codes("suggested_label")[rows]
    np.save(out / "is_label_issue.npy", given != suggested)
    np.save(out / "label_quality.npy", 1 - manifest.table["score"].to_numpy(dtype=np.float64)[rows])
    np.save(out / "suggested_labels.npy", suggested)


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
