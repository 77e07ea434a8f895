"""Is it one label that is wrong, or the whole patient? Errors of a record strike all scans of a patient at once."""

from __future__ import annotations

import numpy as np
import pandas as pd


def patient_verdicts(
    p_mislabeled: np.ndarray, labels: np.ndarray, suggested: np.ndarray, patients: np.ndarray, *, classes: np.ndarray,
    likely: float, share: float,
) -> tuple[pd.DataFrame, np.ndarray]:  # fmt: skip
    """Patients with several scans -> whether their labels look wrong as a whole, and what to say of each scan.

    No patient votes on his own scans, so that they are judged each by itself; scans of one patient look alike, so that
    their probabilities are averaged, not multiplied as if they were independent.

    Args:
        p_mislabeled: (N,) in [0, 1].
        labels: (N,) ints in [0, K), as given.
        suggested: (N,) ints in [0, K).
        patients: (N,) ints, whatever they stand for; who is alone in his group has no verdict.
        classes: (K,) names.
        likely: mean of p_mislabeled from which on a patient is called mislabelled.
        share: of a patient's scans, more than which the same other class must be suggested for.

    Returns:
        One row per patient of several scans, the most suspect first: `patient`, a running number that tells nobody's
        name; `n` scans; `n_flagged`, those for which another class is suggested; `mean_p`; `suggested`, the other class
        that most of them are given, missing where there is none; `verdict`: "all", "most" or "none" of the labels.
        And (N,) texts, None where there is nothing to say.
    """
    of_all, sizes = np.unique(patients, return_inverse=True, return_counts=True)[1:]
    several_of = np.flatnonzero(sizes[of_all] > 1)
    said_of_all = np.full(len(patients), None, dtype=object)
    p_mislabeled, labels, suggested = (each[several_of] for each in (p_mislabeled, labels, suggested))
    codes = np.unique(of_all[several_of], return_inverse=True)[1]
    n = np.bincount(codes)
    mean_p = np.bincount(codes, p_mislabeled) / n
    votes = np.zeros((len(n), len(classes)), dtype=np.int64)
    flagged = suggested != labels
    np.add.at(votes, (codes[flagged], suggested[flagged]), 1)
    other, n_same = votes.argmax(axis=1), votes.max(axis=1)
    wrong = (n > 1) & (mean_p >= likely) & (n_same > share * n)
    verdict = np.where(wrong & (n_same == n), "all", np.where(wrong, "most", "none"))
    several = np.flatnonzero(n > 1)
    order = several[np.lexsort((-n[several], -mean_p[several], ~wrong[several]))]
    table = pd.DataFrame({
        "patient": np.arange(1, len(order) + 1), "n": n[order], "n_flagged": votes.sum(axis=1)[order],
        "mean_p": mean_p[order].round(6), "verdict": verdict[order],
    })  # fmt: skip
    names = pd.array(np.asarray(classes)[other], dtype="string")
    names[n_same == 0] = pd.NA
    table.insert(4, "suggested", names[order])
    said = np.full(len(n), None, dtype=object)
    for each in np.flatnonzero(wrong):
        how_many = f"all {n[each]}" if n_same[each] == n[each] else f"{n_same[each]} of {n[each]}"
        said[each] = f"{how_many} labels of this patient look wrong: {classes[other[each]]}?"
    said_of_all[several_of] = said[codes]
    return table, said_of_all
