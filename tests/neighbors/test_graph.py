"""The approximate search keeps the rules of the exact one, and says truly what it misses."""

import tracemalloc

import faiss
import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.neighbors import exact, unit
from ssl_robust.neighbors.cells import make_cells, search_cells
from ssl_robust.neighbors.choice import choose
from ssl_robust.neighbors.unit import UnitRows
from ssl_robust.settings import defaults

IVF = {**defaults("neighbors", "auto"), "index": "ivf"}
IVF["ivf"]["own_cells"] = 3  # of 45 cells here
ALL = {**IVF, "ivf": {**IVF["ivf"], "calibrated_on": 10_000}}  # half of the samples choose, half measure


@pytest.fixture(scope="module")
def clusters():
    """(2000, 16) in 20 clusters, of patients with one to six scans."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(2000), rng.integers(1, 7, 2000))[:2000]
    centers = rng.normal(size=(20, 16))[rng.integers(0, 20, 2000)[groups]]
    vectors = centers + 0.3 * rng.normal(size=(2000, 16))[groups] + 0.4 * rng.normal(size=(2000, 16)) + 1
    return vectors.astype(np.float32), groups


def graph(vectors, groups=None, *, k=10, center=True, seed=0, settings=IVF, rows=None):
    return neighbors.build_graph(vectors, rows=rows, k=k, groups=groups, center=center, seed=seed, settings=settings)


def exactly(vectors, groups=None, **options):
    return graph(vectors, groups, settings={**IVF, "index": "exact"}, **options)


def same(first, second):
    return np.array_equal(first.neighbors.indices, second.neighbors.indices)


def test_looking_into_every_cell_is_the_exact_search(clusters):
    vectors, groups = clusters
    vectors = np.concatenate([vectors[:500], vectors[:300] * 2])  # duplicates tie, also across the cut
    codes = np.unique(np.concatenate([groups[:500], groups[:300] + 5000]), return_inverse=True)[1]
    rows = UnitRows(vectors)
    cells = make_cells(rows, n_cells=17, n_own=3, trained_per_cell=20, n_iterations=3, seed=0)
    found = search_cells(rows, cells, codes, k=7, n_probed=17)
    expected = neighbors.search(vectors, k=7, groups=codes)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=2e-6)  # a rounding of sums apart


@pytest.mark.parametrize("recall", [0.8, 0.95, 1.0])
def test_the_recall_that_is_stated_is_the_recall_that_is(clusters, recall):
    found, truth = graph(*clusters, settings={**ALL, "recall": recall}), exactly(*clusters)
    pairs = zip(found.neighbors.indices, truth.neighbors.indices, strict=True)
    real = np.mean([len(set(a.tolist()) & set(b.tolist())) / 10 for a, b in pairs])
    assert found.how["recall_measured_on"] == 1000
    assert found.how["recall_at_k"] == pytest.approx(real, abs=0.005)
    assert found.how["recall_at_10"] == pytest.approx(real, abs=0.005)
    assert real >= recall - 0.005
    assert found.how["n_probed"] < found.how["n_cells"]


def test_what_is_measured_on_some_holds_for_all(clusters):
    found, truth = graph(*clusters, settings={**IVF, "ivf": {**IVF["ivf"], "calibrated_on": 400}}), exactly(*clusters)
    pairs = zip(found.neighbors.indices, truth.neighbors.indices, strict=True)
    real = np.mean([len(set(a.tolist()) & set(b.tolist())) / 10 for a, b in pairs])
    assert found.how["recall_measured_on"] == 400
    assert found.how["recall_at_k"] == pytest.approx(real, abs=0.02)


def test_a_patient_never_votes_however_large_it_is(clusters):
    vectors, _ = clusters
    groups = np.where(np.arange(2000) < 1500, 0, np.arange(2000))
    found = graph(vectors, groups, k=30)
    hits = found.neighbors.indices
    assert (hits >= 0).all()
    assert not (groups[hits] == groups[:, None]).any()
    assert not (hits == np.arange(2000)[:, None]).any()


def test_fewer_neighbours_than_wanted_are_left_open(clusters):
    vectors, _ = clusters
    found = graph(vectors[:60], np.arange(60) % 2, k=40).neighbors
    assert (found.indices[:, :30] >= 0).all()
    assert (found.indices[:, 30:] == -1).all()
    assert np.isneginf(found.similarities[:, 30:]).all()


def test_same_seed_same_neighbours_on_any_number_of_threads(clusters):
    threads = faiss.omp_get_max_threads()
    try:
        found = []
        for n in (1, 2, 2):
            faiss.omp_set_num_threads(n)
            found.append(graph(*clusters))
    finally:
        faiss.omp_set_num_threads(threads)
    assert same(found[0], found[1])
    assert same(found[1], found[2])
    assert [each.how["cores"] for each in found] == [1, 2, 2]


def test_only_the_rows_that_count_are_looked_at(clusters):
    vectors, groups = clusters
    rows = np.arange(3, 2000, 3)
    for search in (graph, exactly):
        some = search(vectors, groups[rows], rows=rows)
        assert same(some, search(vectors[rows], groups[rows]))


def test_rows_of_length_one_are_the_same_block_by_block(monkeypatch, clusters):
    vectors, _ = clusters
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    norms = np.sqrt((centred.astype(np.float64) ** 2).sum(axis=1)).astype(np.float32)
    monkeypatch.setattr(unit, "_BLOCK", 77)
    rows = UnitRows(vectors, center=True)
    np.testing.assert_allclose(rows.take(slice(None)), centred / norms[:, None], atol=1e-6)
    np.testing.assert_array_equal(rows.take(np.array([5, 1999, 5])), rows.take(slice(None))[[5, 1999, 5]])
    monkeypatch.setattr(exact, "_PIECE", 133)
    codes = np.arange(2000) // 4
    found = exact.search_rows(rows, np.arange(0, 2000, 9), np.arange(2000), codes, 12)
    whole = neighbors.search(centred, k=12, groups=codes)
    np.testing.assert_array_equal(found.indices, whole.indices[::9])


def test_a_memory_map_is_never_loaded_whole(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(30, 256)).astype(np.float32)
    noise = rng.normal(size=(20_000, 256), scale=0.2).astype(np.float32)
    np.save(tmp_path / "v.npy", centers[rng.integers(0, 30, 20_000)] + noise)
    vectors = np.load(tmp_path / "v.npy", mmap_mode="r")
    monkeypatch.setattr(unit, "_BLOCK", 1000)
    monkeypatch.setattr(exact, "_PIECE", 2000)
    settings = {**IVF, "recall": 0.5, "ivf": {**IVF["ivf"], "trained_per_cell": 10, "calibrated_on": 50}}
    tracemalloc.start()
    graph(vectors, k=3, settings=settings)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 256 * 4 / 2


def test_the_search_is_chosen_by_numbers_and_machine(monkeypatch):
    settings = {**IVF, "index": "auto", "exact_seconds": 5, "products_per_second": 1e10}
    monkeypatch.setattr(faiss, "omp_get_max_threads", lambda: 2)
    small, large = choose(10_000, 384, 50, settings), choose(50_000, 384, 50, settings)
    assert (small.kind, small.n_cells) == ("exact", 0)
    assert (large.kind, large.n_cells) == ("ivf", 224)
    assert "50,000 vectors of 384 numbers" in large.why
    assert "48.0 s on 2 cores, more than neighbors.exact_seconds=5" in large.why
    assert choose(50_000, 32, 50, settings).kind == "exact"
    assert choose(50_000, 384, 5_000, settings).kind == "exact"
    monkeypatch.setattr(faiss, "omp_get_max_threads", lambda: 32)
    assert choose(50_000, 384, 50, settings).kind == "exact"
    assert choose(50_000, 384, 50, {**settings, "index": "ivf"}).kind == "ivf"
    assert choose(10**9, 384, 50, {**settings, "index": "exact"}).kind == "exact"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": {**IVF, "index": "hnsw"}}, "index is hnsw; expected one of auto, exact, ivf"),
        ({"settings": {**IVF, "recall": 0}}, "recall is 0"),
        ({"k": 0}, "k is 0"),
        ({"groups": np.zeros(3)}, r"2000 vectors and groups of shape \(3,\)"),
    ],
)
def test_misuse_is_named(clusters, options, message):
    with pytest.raises(ValueError, match=message):
        graph(clusters[0], **options)


def test_nan_is_named_by_its_row_in_the_table(clusters):
    vectors = clusters[0].copy()
    vectors[42, 3] = np.nan
    with pytest.raises(ValueError, match="row 42 of the vectors holds NaN"):
        graph(vectors, rows=np.arange(2, 2000))
