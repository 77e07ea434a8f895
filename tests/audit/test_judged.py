import numpy as np
import pytest

from ssl_robust.audit.table import audit_table
from ssl_robust.settings import choices

pytestmark = pytest.mark.usefixtures("few_draws")

WITHOUT_RUN = [name for name in choices("score") if name not in ("aum", "mean_loss", "vog")]


def overlapping(n=200, seed=0):
    """Two classes that overlap, one label in ten wrong; the class 'c' has five scans of three patients."""
    rng = np.random.default_rng(seed)
    truth = np.append(np.arange(n) % 2, [2] * 5)
    vectors = 1.2 * rng.normal(size=(3, 12))[truth] + rng.normal(size=(n + 5, 12))
    given = np.where((rng.random(n + 5) < 0.1) & (truth < 2), 1 - truth, truth)
    patients = np.append(np.arange(n), [n, n, n + 1, n + 1, n + 2])
    return vectors, np.array(["a", "b", "c"])[given], patients


@pytest.mark.parametrize("score", WITHOUT_RUN)
def test_a_class_of_too_few_patients_is_not_judged_by_any_score(score):
    vectors, labels, patients = overlapping()
    table = audit_table(vectors, labels, groups=patients, score=score)
    rare, others = table[table["label"] == "c"], table[table["label"] != "c"]
    assert rare["p_mislabeled"].isna().all()
    assert (rare["suggested_label"] == "c").all()
    # Neither first nor last: as suspect as the others are in the mean.
    np.testing.assert_allclose(rare["score"], others["score"].mean(), atol=1e-5)
    assert rare["rank"].between(2, len(table) - 1).all()
    assert others["p_mislabeled"].between(0, 1).all()
    assert not (others["suggested_label"] == "c").all()


def test_four_patients_are_enough():
    vectors, labels, patients = overlapping()
    patients[-1], patients[-2] = 900, 901
    assert audit_table(vectors, labels, groups=patients)["p_mislabeled"].notna().all()


@pytest.mark.parametrize("score", WITHOUT_RUN)
def test_the_probability_rises_with_the_score_and_decides_on_suggestions(score):
    vectors, labels, patients = overlapping()
    table = audit_table(vectors, labels, groups=patients, score=score)
    judged = table[table["p_mislabeled"].notna()].sort_values("score")
    assert (np.diff(judged["p_mislabeled"]) >= -1e-6).all()
    differs = judged["suggested_label"] != judged["label"]
    assert differs.any()
    assert (differs == (judged["p_mislabeled"] >= 0.5)).all()


@pytest.mark.parametrize(
    ("n", "patients", "why"),
    [
        (40, None, "40 labels are too few to say how many of them are wrong"),
        (80, 6, "6 patients are too few to say how many labels are wrong"),
    ],
)
def test_of_tiny_sets_nothing_is_said_in_one_sentence(n, patients, why):
    vectors, labels, _ = overlapping(n)
    groups = None if patients is None else np.arange(n) // 2 % patients
    table = audit_table(vectors[:n], labels[:n], groups=groups)
    assert table.attrs == {"estimate": None, "estimate_why": why, "transition": None}
    assert table["p_mislabeled"].between(0, 1).all()
