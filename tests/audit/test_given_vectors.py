"""What people hand to `sr.audit`: it is understood whatever its form, or refused in one sentence."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ssl_robust as sr
from ssl_robust.settings import choices

pytestmark = pytest.mark.usefixtures("few_draws")
FEW = settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def classes(n=48, n_classes=3, seed=0):
    """Vectors of classes that overlap, one label in eight wrong."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % n_classes
    vectors = (rng.normal(size=(n_classes, 8))[truth] + rng.normal(size=(n, 8))).astype(np.float32)
    return vectors, np.where(np.arange(n) % 8 == 5, (truth + 1) % n_classes, truth)


def scores_of(*given, **options):
    return sr.audit(*given, **options)["score"].to_numpy()


@pytest.mark.parametrize(
    ("vectors", "labels", "options", "sentence"),
    [
        (np.where(np.arange(384).reshape(48, 8) == 59, np.nan, 1.0), None, {}, "row 7 of the vectors holds NaN"),
        (1e200 * np.eye(48), None, {}, "row 0 of the vectors holds NaN or inf"),
        (np.zeros((48, 8)), None, {}, "the vectors of all 48 labelled samples are equal"),
        (np.ones((48, 8)), None, {"center": False}, "the vectors of all 48 labelled samples are equal"),
        (None, [4] * 48, {}, "all 48 labels are of one class"),
        (np.eye(2), [0, 1], {}, "only 2 samples have a label"),
        (np.ones(48), None, {}, "vectors have the shape (48,)"),
        (np.full((48, 8), "x"), None, {}, "vectors have the shape (48, 8) and type <U1"),
        (np.ones((48, 8), dtype=complex), None, {}, "and type complex128"),
        (None, None, {"score": "knnn"}, "score='knnn' does not exist; expected one of aum, ensemble,"),
        (None, None, {"score": "aum"}, "give dynamics=RUN"),
        (None, None, {"n_neighbors": -1}, "n_neighbors is -1"),
        (None, None, {"index": "annoy"}, "annoy"),
    ],
)  # fmt: skip
def test_what_cannot_be_audited_is_refused_in_one_sentence(vectors, labels, options, sentence):
    ours, given = classes()
    with pytest.raises(ValueError, match=re.escape(sentence)) as refused:
        sr.audit(ours if vectors is None else vectors, given if labels is None else labels, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("score", [each for each in choices("score") if each not in ("aum", "mean_loss", "vog")])
@pytest.mark.parametrize(
    "labels",
    [
        np.arange(48) % 3 * 50 - 7,
        np.array(["b", "", "µ"])[np.arange(48) % 3],
        np.arange(48),
        np.arange(48) // 2,
        np.append(np.arange(47) % 2, 2),
    ],
    ids=["gaps", "texts", "a class each", "two of a class", "one of a class"],
)
def test_labels_of_any_kind_are_judged_as_far_as_they_can_be(labels, score):
    table = sr.audit(classes()[0], labels, score=score)
    n_of = pd.Series(labels).map(pd.Series(labels).value_counts())
    assert (table["p_mislabeled"].isna() == (n_of < 4)).all()
    assert table["score"].between(0, 1).all()
    assert (table["label"] == labels).all()
    assert table.loc[n_of < 4, "suggested_label"].tolist() == table.loc[n_of < 4, "label"].tolist()


@pytest.mark.parametrize("n", [3, 4, 5, 9])
def test_hardly_any_samples(n):
    table = sr.audit(classes()[0][:n], np.arange(n) % 2)
    assert table["rank"].tolist() == sorted(range(1, n + 1), key=lambda rank: table["rank"].tolist().index(rank))
    assert table.attrs["estimate_why"] == f"{n} labels are too few to say how many of them are wrong"


def test_where_each_class_is_of_one_patient_nothing_is_claimed():
    vectors, labels = classes(120)
    table = sr.audit(vectors, labels, groups=labels)
    assert table["p_mislabeled"].isna().all()
    assert (table["suggested_label"] == table["label"]).all()
    assert table["score"].nunique() == 1
    assert table.attrs["estimate_why"] == "3 patients are too few to say how many labels are wrong"


def test_patients_that_copies_join_into_one_leave_nobody_to_judge():
    vectors, _ = classes(24)
    table = sr.audit(np.tile(vectors, (2, 1)), np.arange(48) % 3, groups=np.repeat([0, 1], 24))
    assert table["p_mislabeled"].isna().all()
    assert table["evidence"].max() == 0


def test_blank_scans_do_not_disturb_the_others():
    vectors, labels = classes(120)
    blank = vectors.copy()
    blank[:3] = 0
    before, after = scores_of(vectors, labels), scores_of(blank, labels)
    assert np.isfinite(after).all()
    assert np.corrcoef(before[3:], after[3:])[0, 1] > 0.9


def test_the_form_of_the_numbers_does_not_matter(tmp_path):
    vectors, labels = classes()
    expected = scores_of(vectors, labels)
    np.save(tmp_path / "E.npy", vectors)
    wide = np.zeros((48, 16), dtype=np.float32)
    wide[:, ::2] = vectors
    backwards = np.asfortranarray(vectors)
    for same in (np.load(tmp_path / "E.npy", mmap_mode="r"), wide[:, ::2], backwards, vectors.tolist(),
                 vectors.astype(np.float64), pd.DataFrame(vectors), vectors.astype(">f4")):  # fmt: skip
        assert np.array_equal(scores_of(same, labels), expected)
    half = vectors.astype(np.float16)
    assert np.array_equal(scores_of(half, labels), scores_of(half.astype(np.float32), labels))


@FEW
@given(st.integers(0, 10_000), st.booleans())
def test_permuting_samples_permutes_scores(seed, center):
    vectors, labels = classes(seed=seed)
    ids = np.array([f"scan-{row}" for row in range(48)])
    patients = np.arange(48) // 2
    order = np.random.default_rng(seed).permutation(48)
    options = {"center": center, "score": "ensemble"}
    before = sr.audit(vectors, labels, groups=patients, ids=ids, **options)
    after = sr.audit(vectors[order], labels[order], groups=patients[order], ids=ids[order], **options)
    assert after["score"].tolist() == before["score"].to_numpy()[order].tolist()
    assert after["rank"].tolist() == before["rank"].to_numpy()[order].tolist()


@FEW
@given(st.integers(0, 10_000), st.permutations(["b", "Z", "<i>"]))
def test_names_of_classes_change_nothing(seed, names):
    vectors, labels = classes(seed=seed)
    before, after = sr.audit(vectors, labels), sr.audit(vectors, np.array(names)[labels])
    assert after["score"].tolist() == before["score"].tolist()
    expected = np.array(names)[before["suggested_label"].to_numpy(dtype=int)]
    assert after["suggested_label"].tolist() == expected.tolist()


@FEW
@given(st.integers(0, 10_000), st.integers(-20, 20))
def test_the_unit_of_the_vectors_changes_nothing(seed, exponent):
    vectors, labels = classes(seed=seed)
    # Times a power of two, so that no number is rounded.
    assert np.array_equal(scores_of(vectors * 2.0**exponent, labels), scores_of(vectors, labels))
    np.testing.assert_allclose(scores_of(vectors * 3.7, labels), scores_of(vectors, labels), atol=1e-2)
