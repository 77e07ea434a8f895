import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ssl_robust.audit.table import audit_table


@pytest.fixture(scope="module")
def planted():
    """300 samples of three classes, five of them with a wrong label."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 100)
    vectors = rng.normal(size=(3, 16))[truth] * 2 + rng.normal(size=(300, 16))
    labels = truth.copy()
    wrong = np.array([3, 77, 150, 210, 299])
    labels[wrong] = (labels[wrong] + 1) % 3
    return vectors.astype(np.float32), labels, truth, wrong


def test_planted_errors_rank_first_with_the_right_suggestion(planted):
    vectors, labels, truth, wrong = planted
    table = audit_table(vectors, labels)
    assert list(table) == [
        "sample_id", "label", "suggested_label", "score", "p_mislabeled", "rank", "evidence", "neighbors",
    ]  # fmt: skip
    assert set(table.index[table["rank"] <= 5]) == set(wrong)
    assert (table["suggested_label"] == truth).all()
    assert table["score"].between(0, 1).all()
    assert sorted(table["rank"]) == list(range(1, 301))
    assert (np.diff(table.sort_values("rank")["score"]) <= 0).all()


def test_permuting_samples_permutes_the_table(planted):
    vectors, labels, _, _ = planted
    ids = np.array([f"scan-{i:03d}" for i in range(300)])
    order = np.random.default_rng(1).permutation(300)
    table = audit_table(vectors, labels, ids=ids)
    shuffled = audit_table(vectors[order], labels[order], ids=ids[order])
    assert shuffled["sample_id"].tolist() == ids[order].tolist()
    np.testing.assert_allclose(shuffled["score"], table["score"].to_numpy()[order], atol=1e-5)
    assert shuffled["rank"].tolist() == table["rank"].to_numpy()[order].tolist()


def test_names_of_classes_change_nothing(planted):
    vectors, labels, _, _ = planted
    names = np.array(["z", "<b>", "=cmd()"])
    table, named = audit_table(vectors, labels), audit_table(vectors, names[labels])
    assert named["score"].tolist() == table["score"].tolist()
    assert named["rank"].tolist() == table["rank"].tolist()
    assert named["suggested_label"].tolist() == names[table["suggested_label"].to_numpy(dtype=int)].tolist()


def test_scaling_and_shifting_all_vectors_change_nothing(planted):
    vectors, labels, _, _ = planted
    table = audit_table(vectors, labels)
    moved = audit_table(vectors * 512 + 4096, labels)
    # Cosines of rows that are not centred see a shift a little.
    np.testing.assert_allclose(moved["score"], table["score"], atol=1e-2)
    each = audit_table(vectors * np.random.default_rng(2).uniform(0.1, 10, (300, 1)), labels, center=False)
    np.testing.assert_allclose(each["score"], audit_table(vectors, labels, center=False)["score"], atol=1e-2)


def test_same_input_same_table(planted):
    vectors, labels, _, _ = planted
    pd.testing.assert_frame_equal(audit_table(vectors, labels), audit_table(vectors, labels))


def test_a_patient_does_not_vouch_for_its_own_label():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(60) % 2, 5)
    patients = np.repeat(np.arange(60), 5)
    vectors = np.eye(2)[truth] @ rng.normal(size=(2, 32)) * 2
    vectors = vectors + 3 * rng.normal(size=(60, 32))[patients] * 0.5 + 0.5 * rng.normal(size=(300, 32))
    labels = truth.copy()
    labels[patients == 7] ^= 1  # all scans of one patient are wrong
    alone = audit_table(vectors, labels, k=4, score="knn")
    grouped = audit_table(vectors, labels, groups=[f"p{p}" for p in patients], k=4, score="knn")
    assert alone["score"][patients == 7].max() < 0.2
    assert grouped["score"][patients == 7].min() > 0.9
    for row, names in enumerate(grouped["neighbors"]):
        assert not {patients[name] for name in names} & {patients[row]}


def test_unknown_patients_are_groups_of_their_own(planted):
    vectors, labels, _, _ = planted
    groups = pd.Series([None, np.nan, pd.NA] * 100)
    assert (
        audit_table(vectors, labels, groups=groups)["score"].tolist() == audit_table(vectors, labels)["score"].tolist()
    )


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, -1])
def test_samples_without_a_label_neither_vote_nor_rank(planted, missing):
    vectors, labels, _, _ = planted
    kept = np.delete(np.arange(300), [10, 20, 120])
    given = labels.astype(object)
    given[[10, 20, 120]] = missing
    table, expected = audit_table(vectors, given), audit_table(vectors[kept], labels[kept])
    assert table.loc[[10, 20, 120], ["score", "rank", "suggested_label", "neighbors"]].isna().all(axis=None)
    np.testing.assert_allclose(table["score"].to_numpy()[kept], expected["score"], atol=1e-6)
    assert not {10, 20, 120} & {name for names in table["neighbors"].dropna() for name in names}


def test_duplicates_do_not_vouch_for_each_other():
    rng = np.random.default_rng(0)
    truth = np.arange(100) % 2
    vectors = np.repeat(np.eye(2)[truth] @ rng.normal(size=(2, 8)) * 2 + rng.normal(size=(100, 8)), 2, axis=0)
    labels = np.repeat(truth, 2)
    labels[[6, 7, 20]] ^= 1  # both of a pair, and one of another
    table = audit_table(vectors, labels)
    assert all(not {row, row ^ 1} & set(names) for row, names in enumerate(table["neighbors"]))
    assert set(table.index[table["rank"] <= 3]) == {6, 7, 20}


def test_equal_scores_rank_by_id():
    vectors = np.tile(np.eye(2), (4, 1)).repeat(2, axis=0)
    table = audit_table(vectors, ["a", "a", "b", "b"] * 4, ids=list("ponmlkjihgfedcba"), k=3)
    assert table["score"].nunique() == 1
    assert table["rank"].tolist() == list(range(16, 0, -1))


def test_a_class_with_one_sample_works(planted):
    vectors, labels, _, _ = planted
    lonely = labels.copy()
    lonely[50] = 9
    table = audit_table(vectors, lonely)
    assert np.isnan(table["p_mislabeled"][50])  # nobody else knows what that class looks like
    assert table["suggested_label"][50] == 9
    others = table.drop(index=50)
    assert others["p_mislabeled"].notna().all()
    assert not (others["suggested_label"] == 9).any()


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 1, 0], {}, "300 vectors and 3 labels"),
        ([0] * 300, {}, "one class"),
        ([None] * 300, {}, "none of the 300 samples has a label"),
        ([0, 1] + [None] * 298, {}, "only 2 samples"),
        ([0, 1] * 150, {"groups": [1]}, "300 vectors and 1 groups"),
        ([0, 1] * 150, {"groups": [1] * 300}, "one patient"),
        ([0, 1] * 150, {"k": 0}, "k is 0"),
        ([0, 1] * 150, {"temperature": -1}, "temperature is -1"),
    ],
)
def test_misuse_is_named(planted, labels, options, message):
    with pytest.raises(ValueError, match=message):
        audit_table(planted[0], labels, **options)


def test_vectors_that_are_not_finite_are_named(planted):
    vectors = planted[0].copy()
    vectors[41, 3] = np.inf
    with pytest.raises(ValueError, match="row 41 .* NaN or infinity"):
        audit_table(vectors, planted[1])


def test_never_imports_torch():
    code = "import sys, ssl_robust.audit.table, ssl_robust.audit.stage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
