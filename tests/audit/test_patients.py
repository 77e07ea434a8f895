import numpy as np
import pandas as pd
import pytest

from ssl_robust.audit.patients import patient_verdicts

CLASSES = np.array(["a", "b", "c"], dtype=object)
RULE = {"classes": CLASSES, "likely": 0.5, "share": 0.5}
# patient, p, label, suggested
SCANS = np.array([
    (7, 0.9, 0, 1), (7, 0.8, 0, 1), (7, 0.7, 0, 1),  # all, of one mind
    (3, 0.9, 0, 1), (3, 0.8, 0, 1), (3, 0.1, 0, 0),  # most
    (4, 0.9, 0, 1), (4, 0.9, 0, 2),                  # wrong, but nobody knows which way
    (5, 0.6, 1, 0), (5, 0.1, 1, 0), (5, 0.2, 1, 0),  # of one mind, but weakly
    (6, 0.9, 1, 1), (6, 0.9, 1, 1),                  # nothing else is suggested
    (1, 0.9, 0, 1),                                  # alone
])  # fmt: skip


def judged(scans=SCANS, patients=None):
    codes = scans[:, 0].astype(int) if patients is None else patients
    return patient_verdicts(scans[:, 1], scans[:, 2].astype(int), scans[:, 3].astype(int), codes, **RULE)


def test_verdicts():
    table, said = judged()
    assert table["verdict"].tolist() == ["all", "most", "none", "none", "none"]
    assert table["patient"].tolist() == [1, 2, 3, 4, 5]
    assert table["n"].tolist() == [3, 3, 2, 2, 3]
    assert table["n_flagged"].tolist() == [3, 2, 2, 0, 3]
    assert table["mean_p"].tolist() == pytest.approx([0.8, 0.6, 0.9, 0.9, 0.3])
    assert table["suggested"].tolist()[:3] == ["b", "b", "b"]
    assert table["suggested"].isna().tolist() == [False, False, False, True, False]
    assert set(said[:3]) == {"all 3 labels of this patient look wrong: b?"}
    assert set(said[3:6]) == {"2 of 3 labels of this patient look wrong: b?"}
    assert list(said[6:]) == [None] * 8


def test_codes_say_nothing():
    """The table and the texts are the same whatever number stands for a patient: it could be an identifier."""
    table, said = judged()
    renamed, told = judged(patients=SCANS[:, 0].astype(int) * 1_000_003)
    pd.testing.assert_frame_equal(table, renamed)
    assert said.tolist() == told.tolist()


def test_permuting_the_scans_permutes_the_verdicts():
    order = np.random.default_rng(0).permutation(len(SCANS))
    assert judged(SCANS[order])[1].tolist() == judged()[1][order].tolist()


def test_nobody_has_several_scans():
    table, said = judged(patients=np.arange(len(SCANS)))
    assert len(table) == 0
    assert set(said) == {None}
