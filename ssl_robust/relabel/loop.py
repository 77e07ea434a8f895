"""One round: answers -> labels as they are now -> what is believed of the others -> which to ask about next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.relabel.answers import enough_read, standing, table
from ssl_robust.relabel.campaign import Campaign
from ssl_robust.relabel.queue import Rules, Showing, fill_queue
from ssl_robust.relabel.sampler import Pool, score
from ssl_robust.relabel.subject import Subject


def next_round(
    subject: Subject, settings: Mapping[str, Any], *, answers: Mapping[str, str | None], permutation: np.ndarray,
    closed: np.ndarray, number: int,
) -> pd.DataFrame:  # fmt: skip
    """The queue of a round.

    Args:
        subject: the scans.
        settings: of configs/relabel.yaml.
        answers: sample id -> class; None where a reader was unsure: the label stays, and is not asked about again.
        permutation: (N,) rows in the random order of the control sample.
        closed: (N,) bool, scans that were queued before.
        number: of the round, from 1.

    Returns:
        Rows for `start_campaign` or `add_round`.
    """
    pool = pool_of(subject, settings, answers)
    scores = score(pool, settings["sampler"])
    named = {name: settings[name] for name in ("n", "control", "repeat", "class_quota", "per_patient")}
    rules = Rules(**named, shuffled=settings["blind"])
    showing = fill_queue(
        scores, rules, closed=closed, labels=subject.labels, clusters=subject.clusters, permutation=permutation,
        patients=subject.patients if rules.per_patient else np.arange(len(subject)), seed=pool.seed + number,
    )  # fmt: skip
    return _as_table(subject, pool, scores, showing)


def answers_of(campaign: Campaign) -> dict[str, str | None]:
    """Sample id -> the class that its readers settled on, None where they were unsure or differ.

    Args:
        campaign: with its ledger.
    """
    found = table(standing(campaign.ledger().read()), rule="majority")
    enough = enough_read(found, campaign.readers)
    settled = found["consensus"].mask(found["unsettled"]).to_numpy(dtype=object, na_value=None)
    return {name: label for name, label, full in zip(found["sample_id"], settled, enough, strict=True) if full}


def pool_of(subject: Subject, settings: Mapping[str, Any], answers: Mapping[str, str | None]) -> Pool:
    """What is known after some answers.

    Args:
        subject: the scans.
        settings: as in `next_round`.
        answers: as in `next_round`.
    """
    codes = {name: code for code, name in enumerate(subject.classes)}
    labels, answered = subject.labels.copy(), np.zeros(len(subject), dtype=bool)
    for row in np.flatnonzero([name in answers for name in subject.ids]):
        answer = answers[subject.ids[row]]
        labels[row] = labels[row] if answer is None else codes[answer]
        answered[row] = answer is not None
    known = None if answered.any() else subject.p_mislabeled
    n_classes, wanted, seed = len(subject.classes), settings["n"], settings["seed"]
    return Pool(subject.labels, labels, answered, subject, n_classes, wanted, seed, settings, known)


def _as_table(subject: Subject, pool: Pool, scores: np.ndarray, showing: Showing) -> pd.DataFrame:
    rows = showing.rows
    suggested, wrong = suggestions(subject, pool)
    return pd.DataFrame({
        "sample_id": subject.ids[rows], "shown": showing.shown,
        "label": np.asarray(subject.classes, dtype=object)[subject.labels[rows]],
        "suggested_label": suggested[rows], "p_mislabeled": wrong[rows].round(6),
        "expected_gain": np.maximum(scores[rows], 0).round(6), "cluster": subject.clusters[rows],
        "neighbors": [subject.neighbors[row] for row in rows],
    })  # fmt: skip


def suggestions(subject: Subject, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """What is suggested: the likeliest other class where the label is more likely wrong than right, else the label.

    Args:
        subject: the scans.
        pool: what is known of them.

    Returns:
        (N,) names, and (N,) p(wrong).
    """
    if pool.known is not None:
        return subject.suggested, pool.wrong
    others = pool.posterior.copy()
    others[np.arange(len(pool)), pool.labels] = -1
    best = np.where(pool.wrong >= 0.5, others.argmax(axis=1), pool.labels)
    return np.asarray(subject.classes, dtype=object)[best], pool.wrong
