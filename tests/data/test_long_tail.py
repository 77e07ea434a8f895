import numpy as np
import pytest

from ssl_robust.data.long_tail import long_tail, tail_sizes
from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.run import UserError


def thinned(labels, patients, ratio, seed=0):
    ids = [f"scan {row}" for row in range(len(labels))]
    return long_tail(np.asarray(labels), patients, ids, ratio=ratio, seed=seed, classes=["a", "b", "c"])


def test_sizes_equal_the_formula_written_out():
    sizes = np.array([900, 1000, 1000, 950])
    n_max, gamma = 1000, 50
    of_rank = [round(n_max * gamma ** (-k / 3)) for k in range(4)]
    # Ordered by size, of equal classes the first is larger: 1, 2, 3, 0.
    assert tail_sizes(sizes, gamma).tolist() == [of_rank[3], of_rank[0], of_rank[1], of_rank[2]]
    assert of_rank[0] / of_rank[3] == gamma


def test_ratio_one_and_small_classes_leave_all_as_it_is():
    assert tail_sizes(np.array([5, 9, 0]), 1).tolist() == [5, 9, 0]
    assert tail_sizes(np.array([1000, 20, 1000]), 10).tolist() == [1000, 20, 316]
    assert tail_sizes(np.array([7]), 10).tolist() == [7]
    np.testing.assert_array_equal(thinned([0, 1, -1, 2], list("pqrs"), 1.0), np.arange(4))


def test_whole_patients_go_but_one_of_each_class():
    rng = np.random.default_rng(0)
    labels, patients = np.sort(rng.integers(3, size=600)), np.arange(600) // 6
    rows = thinned(labels, patients, 20)
    sizes = np.bincount(labels)
    np.testing.assert_array_equal(np.bincount(labels[rows]), tail_sizes(sizes, 20))
    kept = np.isin(np.arange(600), rows)
    for code in range(3):
        own = labels == code
        cut = [p for p in np.unique(patients[own]) if len(set(kept[own & (patients == p)])) == 2]
        assert len(cut) <= 1
    assert set(thinned(labels, patients, 40)) < set(rows), "a larger ratio keeps a part"
    assert set(thinned(labels, patients, 20, seed=1)) != set(rows)


def test_who_stays_hangs_on_ids_alone():
    labels, order = np.arange(90) % 3, np.random.default_rng(0).permutation(90)
    ids = np.array([f"scan {row}" for row in range(90)])
    chosen = long_tail(labels, ids, ids, ratio=5, seed=0, classes=list("abc"))
    turned = long_tail(labels[order], ids[order], ids[order], ratio=5, seed=0, classes=list("abc"))
    # Which class is the head of three of equal size is settled by their order, which is that of the classes.
    assert set(ids[order][turned]) == set(ids[chosen])


@pytest.mark.parametrize("ratio", [0.5, 0, -1, True, "much", float("nan"), float("inf")])
def test_no_ratio(ratio):
    with pytest.raises(UserError, match=r"data\.long_tail=.* does not fit; expected .* from 1 on"):
        thinned([0, 1, 2], list("pqr"), ratio)


def test_a_class_that_would_be_lost_is_named():
    with pytest.raises(UserError, match=r"leaves no training scan of the class 'c'.* give less than 20"):
        thinned([0] * 10 + [1] * 10 + [2] * 10, np.arange(30), 50)
    assert np.bincount(np.repeat([0, 1, 2], 10)[thinned([0] * 10 + [1] * 10 + [2] * 10, np.arange(30), 19)])[2] == 1


def test_only_the_training_split_is_thinned(tmp_path):
    arrays = {}
    for split, n in (("train", 90), ("val", 30), ("test", 30)):
        arrays[f"{split}_images"] = np.arange(n, dtype=np.uint8)[:, None, None] + np.zeros((1, 8, 8), np.uint8)
        arrays[f"{split}_labels"] = np.arange(n) % 3
    np.savez(tmp_path / "scans.npz", **arrays)
    manifest = load_manifest(data_settings("npz", path=str(tmp_path / "scans.npz"), long_tail=10))
    assert np.bincount(manifest.codes()[manifest.rows("train")]).tolist() == [30, 9, 3]
    assert [len(manifest.rows(split)) for split in ("val", "test")] == [30, 30]
    row = manifest.rows("train")[-1]
    place = int(manifest.table["sample_id"].iloc[row].partition("/")[2])
    assert manifest.source.read(row)[0, 0] == place, "scans and rows stay together"
