import numpy as np
import pandas as pd
import pytest

from ssl_robust import neighbors
from ssl_robust.audit.duplicates import count_duplicates, duplicates_table, find_duplicates, merged_groups
from ssl_robust.audit.scores.knn import knn_score, vote_shares
from ssl_robust.duplicates import Look, Pairs, join, look_at
from ssl_robust.settings import defaults

SETTINGS = defaults("", "audit")["duplicates"]
SEARCH = defaults("neighbors", "auto")
CLASSES = np.array(["benign", "malignant"], dtype=object)


def scattered(n=400, dim=24, inner=6, seed=0):
    """(n, dim) vectors near a curved surface of few dimensions, as those of an encoder are."""
    rng = np.random.default_rng(seed)
    return np.tanh(rng.normal(size=(n, inner)) @ rng.normal(size=(inner, dim)) / 2)


def search(vectors, groups, k=20, center=True):
    unit = neighbors.UnitRows(vectors, center=center)
    graph = neighbors.build_graph(vectors, k=k, groups=groups, center=center, seed=0, settings=SEARCH)
    return unit, graph.neighbors


def found(vectors, look=None, groups=None, files=None, settings=SETTINGS):
    groups = np.arange(len(vectors)) if groups is None else groups
    unit, others = search(vectors, groups)
    near = neighbors.of_everyone(unit, groups, others, k=settings["n_neighbors"])
    return find_duplicates(unit, near, look, files, settings)


def members(clusters):
    return [each.tolist() for each in clusters.members()]


@pytest.mark.parametrize("patients", [400, 40, 3])
def test_planted_copies_are_found_whoever_the_patients_are(patients):
    """Copies within a patient, who is left out of the neighbours, and across patients."""
    vectors, rng = scattered(), np.random.default_rng(1)
    groups = rng.integers(0, patients, 400)
    vectors[300] = vectors[10]
    vectors[301] = vectors[20] + rng.normal(0, 0.003, 24)
    vectors[[302, 303]] = vectors[30]
    groups[301], groups[302] = groups[20], groups[30]
    clusters = found(vectors, groups=groups)
    assert members(clusters) == [[10, 300], [20, 301], [30, 302, 303]]
    assert (clusters.nearest[[10, 300, 30, 302, 303]] == 1).all()
    assert (clusters.nearest[[20, 301]] < 1).all()


@pytest.mark.parametrize("inner", [1, 2, 6])
@pytest.mark.parametrize("n", [3, 30, 400])
def test_scattered_samples_are_no_copies(inner, n):
    """On a line some are always very near to each other: the fewer dimensions, the nearer they come by chance."""
    near = [len(found(scattered(n, inner=inner, seed=seed))) for seed in range(10)]
    assert sum(near) <= 1 + 10 * SETTINGS["by_chance"]
    assert len(found(np.eye(n))) == 0


def test_the_number_by_chance_written_out():
    vectors = scattered(100)
    vectors[60] = vectors[10] + 0.02
    unit = neighbors.UnitRows(vectors)
    near = neighbors.search(vectors, k=10)
    distance = np.sqrt(2 - 2 * near.similarities.astype(float) + 1e-6)
    m = np.median(np.log(2) / np.log(distance[:, 9] / distance[:, 4]))
    last = min(distance[10, 9], distance[60, 9])
    by_chance = 100 * 9 / 2 * (distance[10, 0] / last) ** m
    assert near.indices[10, 0] == 60
    for factor, n in ((1.01, 1), (0.99, 0)):
        settings = {**SETTINGS, "by_chance": factor * by_chance, "ratio": 1.0}
        assert (find_duplicates(unit, near, None, None, settings).of[10] >= 0) == n
        settings = {**SETTINGS, "by_chance": np.inf, "ratio": factor * distance[10, 0] / last}
        assert (find_duplicates(unit, near, None, None, settings).of[10] >= 0) == n


def test_samples_with_few_neighbours_are_no_copies():
    vectors = scattered(60)
    unit, near = search(vectors, np.arange(60), k=10)
    near.indices[::2, 6:], near.similarities[::2, 6:] = -1, -np.inf
    near.indices[5], near.similarities[5] = -1, -np.inf
    assert len(find_duplicates(unit, near, None, None, SETTINGS)) == 0


def test_more_copies_than_neighbours_are_looked_at():
    vectors = scattered()
    vectors[100:140] = vectors[3]
    assert members(found(vectors)) == [[3, *range(100, 140)]]


def test_permuting_the_samples_permutes_the_clusters():
    vectors = scattered()
    vectors[200:210] = vectors[:10] + np.random.default_rng(2).normal(0, 0.003, (10, 24))
    order = np.random.default_rng(3).permutation(400)
    moved = {frozenset(order[each].tolist()) for each in found(vectors[order]).members()}
    assert moved == {frozenset((i, 200 + i)) for i in range(10)}
    assert moved == {frozenset(each) for each in members(found(vectors))}


@pytest.fixture
def scans():
    """200 textures, the same picture in 7 and 90 (marked), 8 and 91 (a copy), 9 and 92 (blank), and their vectors."""
    rng = np.random.default_rng(5)
    pixels = np.kron(rng.integers(30, 226, (200, 8, 8, 1)), np.ones((1, 4, 4, 1))).astype(np.uint8)
    vectors = scattered(200)
    pixels[90], pixels[91] = pixels[7], pixels[8]
    pixels[90, :5, :5] = 255
    pixels[[9, 92]] = 50
    vectors[90:93] = vectors[7:10] + rng.normal(0, 0.01, (3, 24))
    return pixels, vectors


def looked_at(pixels):
    return look_at(pixels, np.arange(len(pixels)), blank=SETTINGS["blank"])


def test_pixels_confirm_what_vectors_suggest(scans):
    pixels, vectors = scans
    clusters = found(vectors, looked_at(pixels))
    assert members(clusters) == [[7, 90], [8, 91]]
    assert clusters.nearest[8] == 1
    assert 0.5 < clusters.nearest[7] < 1


def test_pixels_refuse_what_vectors_suggest(scans):
    pixels, vectors = scans
    vectors[50] = vectors[51]
    assert members(found(vectors))[-1] == [50, 51]
    assert members(found(vectors, looked_at(pixels))) == [[7, 90], [8, 91]]


def test_vectors_make_up_for_pixels_that_changed_much(scans):
    pixels, vectors = scans
    pixels[120] = (0.5 * pixels[20] + 0.5 * pixels[21]).round()
    vectors[120] = vectors[20]
    assert [20, 120] in members(found(vectors, looked_at(pixels)))
    assert [20, 120] not in members(found(vectors, looked_at(pixels), settings={**SETTINGS, "vectors": 0.0}))


def test_parts_of_one_file_are_not_compared(scans):
    pixels, vectors = scans
    files = np.arange(200)
    files[[90, 91]] = files[[7, 8]]
    assert members(found(vectors, looked_at(pixels), files=files)) == []


def test_many_marked_copies_of_one_scan(scans):
    pixels, vectors = scans
    rng = np.random.default_rng(6)
    for row in range(100, 116):
        pixels[row] = np.clip(pixels[3].astype(int) + rng.normal(0, 3, pixels[3].shape), 0, 255)
        vectors[row] = vectors[3] + rng.normal(0, 0.003, 24)
    assert members(found(vectors, looked_at(pixels)))[0] == [3, *range(100, 116)]


def test_groups_are_joined_by_a_picture():
    groups = np.array([0, 0, 1, 2, 2, 3, 4, 4])
    pairs = Pairs(np.array([1, 5]), np.array([2, 6]), np.ones(2))
    merged = merged_groups(groups, join(pairs, 8))
    assert merged.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    nothing = np.empty(0, dtype=np.int64)
    assert merged_groups(groups, join(Pairs(nothing, nothing, np.empty(0)), 8)).tolist() == groups.tolist()


@pytest.mark.parametrize("n_copies", [1, 5, 60])
def test_copies_do_not_vouch_for_a_wrong_label(n_copies):
    """However often a wrong label is repeated, it stays as suspect, and so is each copy of it."""
    vectors = np.concatenate([scattered(150, seed=1) + 1, scattered(150, seed=2) - 1])
    labels = np.repeat([0, 1], 150)
    labels[5] = 1

    def scores(vectors, labels):
        groups = np.arange(len(labels))
        unit, others = search(vectors, groups, k=30, center=False)
        near = neighbors.of_everyone(unit, groups, others, k=10)
        groups = merged_groups(groups, find_duplicates(unit, near, None, None, SETTINGS))
        left = neighbors.leave_out(others, unit, groups, k=20)
        return knn_score(vote_shares(left, labels, groups, n_classes=2, temperature=0.2), labels)

    alone = scores(vectors, labels)[5]
    again = scores(np.concatenate([vectors, vectors[[5] * n_copies]]), np.concatenate([labels, [1] * n_copies]))
    assert alone > 0.9
    np.testing.assert_allclose(again[[5, *range(300, 300 + n_copies)]], alone, atol=1e-6)


def test_the_table_has_conflicts_first_then_leaks():
    pairs = Pairs(np.array([0, 2, 4, 6, 6]), np.array([1, 3, 5, 7, 8]), np.array([1, 0.9, 0.8, 0.7, 0.95]))
    labels = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1, 0])
    splits = np.array(["train"] * 7 + ["test"] * 3, dtype=object)
    patients = np.array([0, 0, 1, 2, 3, 3, 4, 4, -1, 5])
    ids = np.array([f"s{i}" for i in range(10)], dtype=object)
    table = duplicates_table(join(pairs, 10), ids=ids, labels=labels, classes=CLASSES, splits=splits, patients=patients)
    assert table["cluster"].tolist() == [1, 1, 2, 2, 2, 3, 3, 4, 4]
    assert table["sample_id"].tolist() == ["s4", "s5", "s6", "s7", "s8", "s2", "s3", "s0", "s1"]
    assert table["label"].tolist()[:3] == ["malignant", "benign", "malignant"]
    assert table["kind"].tolist() == ["near"] * 7 + ["exact"] * 2
    assert table["similarity"].tolist() == [0.8, 0.8, 0.95, 0.7, 0.95, 0.9, 0.9, 1, 1]
    assert table["conflict"].tolist() == [True] * 2 + [False] * 7
    assert table["across_splits"].tolist() == [False] * 2 + [True] * 3 + [False] * 4
    assert table["across_patients"].tolist() == [False] * 5 + [True] * 2 + [False] * 2
    assert count_duplicates(table) == {
        "n_clusters": 4, "n_scans": 9, "n_conflicts": 1, "n_across_splits": 1, "n_across_patients": 1,
    }  # fmt: skip


def test_a_table_of_nothing():
    clusters = found(scattered(30))
    table = duplicates_table(
        clusters, ids=np.arange(30), labels=np.zeros(30, int), classes=CLASSES, splits=None, patients=None
    )
    assert isinstance(table, pd.DataFrame)
    assert len(table) == 0
    assert count_duplicates(table)["n_clusters"] == 0


def test_a_look_without_structure_joins_nothing():
    look = Look(np.zeros((30, 1024), np.float16), np.zeros(30, np.uint64))
    assert len(found(scattered(30), look)) == 0
