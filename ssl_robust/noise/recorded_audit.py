"""What a finished audit believes of labels, brought to the samples that are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_robust.data.audit_table import find_audit_table, read_audit_table
from ssl_robust.files import existing
from ssl_robust.run import UserError, read_run


def audit_file(directory: str | Path) -> Path:
    """The table of a finished audit; asked before anything is computed.

    Args:
        directory: the run directory of the audit, as `strategy.audit` names it.

    Raises:
        UserError: there is none.
    """
    place = existing(directory, "strategy.audit", folder=True)
    finished = read_run(place, stage="audit").get("finished")
    file = find_audit_table(place)
    if file is None or not finished:
        raise UserError(
            f"strategy.audit={directory} is an unfinished audit; end it first, with its own command and resume=true"
        )
    return file


def read_posterior(directory: str | Path, ids: Sequence[str], labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """A finished audit -> what is believed of the class of each sample.

    The audit's table names one other class at most: p(wrong) lies there, or evenly on the others where none is named. A
    label that the audit could not judge (its class has too few patients) counts as right.

    An audit of all splits learned from the labels of val and test as well, and through it so does what is trained here;
    a note says so.

    Args:
        directory: of the audit.
        ids: (N,) `sample_id` of the samples.
        labels: (N,) codes as given here.
        classes: (K,) names in the order of the codes.

    Returns:
        (N, K) float32 p(true class | sample, label as given), rows sum to one.

    Raises:
        UserError: there is no finished audit, it lacks a sample or saw another label of it, names a class that does
            not exist here, or judged no label.
    """
    where = f"strategy.audit={directory}"
    table = read_audit_table(audit_file(directory))
    # A row number of -1, a sample that the audit does not have, is a row without anything after `reindex`.
    place = pd.Index(table["sample_id"]).get_indexer(pd.Index(np.asarray(ids, dtype=object)))
    found = table.reset_index(drop=True).reindex(place).reset_index(drop=True)
    given = np.asarray(classes, dtype=object)[labels]
    _check_same_labels(pd.Series(found["label"]).set_axis(list(ids)), given, where)
    if "p_mislabeled" not in table or not table["p_mislabeled"].notna().to_numpy().any():
        raise UserError(f"{where} has judged no label (p_mislabeled is empty: too few labels or patients); "
                        "take strategy.audit away, then the labels are judged here")  # fmt: skip
    wrong = found["p_mislabeled"].to_numpy(dtype=np.float64, na_value=0)
    _tell_of_others(table, ids, where)
    suggested = _codes(pd.Series(found["suggested_label"]), classes, where)
    return _posterior(wrong, labels, suggested, len(classes))


def _check_same_labels(seen: pd.Series, given: np.ndarray, where: str) -> None:
    """What an audit believes of another label tells nothing of this one."""
    n, lacks = len(seen), seen.isna().to_numpy(dtype=bool)
    if lacks.any():
        raise UserError(f"{where} has no label of {lacks.sum():,} of the {n:,} training samples "
                        f"(e.g. {seen.index[int(lacks.argmax())]!r}); audit the same data=")  # fmt: skip
    other = seen.to_numpy(dtype=object) != given
    if other.any():
        row = int(other.argmax())
        raise UserError(f"{where} saw other labels of {other.sum():,} of the {n:,} training samples (e.g. "
                        f"{seen.index[row]!r}: {seen.iloc[row]!r} there, {given[row]!r} here); audit with the same "
                        "noise= and seed=, or the labels as they are now")  # fmt: skip


def _tell_of_others(table: pd.DataFrame, ids: Sequence[str], where: str) -> None:
    labelled = table["label"].notna().to_numpy(dtype=bool)
    others = int((labelled & ~table["sample_id"].isin(list(ids)).to_numpy(dtype=bool)).sum())
    if others:
        print(f"Note: {where} learned from {others:,} labels outside the training split too, so that measures on those "
              "scans may flatter; without strategy.audit, training labels judge one another", flush=True)  # fmt: skip


def _codes(names: pd.Series, classes: Sequence[str], where: str) -> np.ndarray:
    """(N,) codes, -1 where there is no name."""
    codes = pd.Index(classes, dtype=object).get_indexer(pd.Index(names.to_numpy(dtype=object, na_value="")))
    unknown = (codes < 0) & names.notna().to_numpy(dtype=bool)
    if unknown.any():
        other = names.to_numpy(dtype=object)[unknown][0]
        raise UserError(f"{where} suggests a class {other!r} that these data do not have; its classes "
                        f"are {', '.join(classes)}")  # fmt: skip
    return codes


def _posterior(wrong: np.ndarray, labels: np.ndarray, suggested: np.ndarray, n_classes: int) -> np.ndarray:
    posterior = np.repeat(wrong[:, None] / (n_classes - 1), n_classes, axis=1)
    named = np.flatnonzero(suggested >= 0)
    posterior[named] = 0
    posterior[named, suggested[named]] = wrong[named]
    posterior[np.arange(len(labels)), labels] = 1 - wrong
    return posterior.astype(np.float32)
