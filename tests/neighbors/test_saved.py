import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.run import UserError
from ssl_robust.settings import defaults

SETTINGS = defaults("neighbors", "auto")
VECTORS = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
GROUPS = np.arange(90) // 2


def fingerprint(vectors=VECTORS, rows=None, groups=GROUPS, center=True):
    return neighbors.fingerprint(vectors, rows, groups, center=center)


@pytest.fixture
def saved(tmp_path):
    made = neighbors.build_graph(VECTORS, k=8, groups=GROUPS, center=True, seed=0, settings=SETTINGS)
    neighbors.save_graph(tmp_path, made, fingerprint())
    return tmp_path, made.neighbors


@pytest.mark.parametrize("k", [3, 8])
def test_what_was_saved_comes_back(saved, k):
    directory, found = saved
    read = neighbors.read_graph(directory, fingerprint(), k=k, settings=SETTINGS)
    np.testing.assert_array_equal(read.neighbors.indices, found.indices[:, :k])
    np.testing.assert_array_equal(read.neighbors.similarities, found.similarities[:, :k])
    assert read.neighbors.indices.dtype == np.int64
    assert "used again" in read.how["why"]


def test_what_neighbours_depend_on_is_in_the_fingerprint():
    other = VECTORS.copy()
    other[50, 2] += 1e-3
    different = [fingerprint(other), fingerprint(rows=np.arange(2, 90), groups=GROUPS[2:]), fingerprint(center=False),
                 fingerprint(groups=np.arange(90) // 3), fingerprint(groups=None)]  # fmt: skip
    assert len({fingerprint(), *different}) == 6
    assert fingerprint(groups=GROUPS * 7 + 3) == fingerprint()  # names of patients do not matter
    assert fingerprint(rows=np.arange(90)) == fingerprint()


@pytest.mark.parametrize(
    ("of", "options", "sentence"),
    [
        ("another", {}, "belong to other vectors, patients, labelled samples"),
        (None, {"k": 9}, "holds 8 neighbours of each sample and neighbors.k=9 are wanted"),
    ],
)
def test_what_does_not_fit_is_refused(saved, of, options, sentence):
    with pytest.raises(UserError, match=sentence):
        neighbors.read_graph(saved[0], of or fingerprint(), **{"k": 8, "settings": SETTINGS, **options})


def test_less_exact_than_asked_for_is_refused(tmp_path):
    settings = {**SETTINGS, "index": "ivf", "recall": 0.9}
    made = neighbors.build_graph(VECTORS, k=8, groups=GROUPS, center=True, seed=0, settings=settings)
    neighbors.save_graph(tmp_path, made, fingerprint())
    neighbors.read_graph(tmp_path, fingerprint(), k=8, settings=settings)
    for more, sentence in (({"recall": 0.95}, "searched for a recall of 0.9 and"), ({"index": "exact"}, "not exact")):
        with pytest.raises(UserError, match=sentence):
            neighbors.read_graph(tmp_path, fingerprint(), k=8, settings={**settings, **more})


def test_nothing_saved_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no saved neighbours; give the run directory of an audit"):
        neighbors.read_graph(tmp_path / "none", fingerprint(), k=3, settings=SETTINGS)
