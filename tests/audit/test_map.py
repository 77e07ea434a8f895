import numpy as np
import pytest

from ssl_robust.audit.map import plane, write_map
from ssl_robust.neighbors import UnitRows

RNG = np.random.default_rng(0)
# Centred on nothing, spread unequally, and more rows than fit into one block.
VECTORS = (RNG.normal(size=(17_000, 6)) * [5, 3, 1, 0.5, 0.2, 0.1] + 2).astype(np.float32)


def test_the_plane_is_that_of_a_singular_value_decomposition():
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    centred = unit.astype(np.float64) - unit.mean(axis=0, dtype=np.float64)
    left, values, axes = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * values[:2]
    expected *= [np.sign(axis[np.abs(axis).argmax()]) for axis in axes[:2]]
    np.testing.assert_allclose(plane(UnitRows(VECTORS)), expected, atol=1e-4)


def test_the_order_of_the_rows_moves_no_point():
    order = RNG.permutation(500)
    np.testing.assert_allclose(plane(UnitRows(VECTORS[:500][order])), plane(UnitRows(VECTORS[:500]))[order], atol=1e-4)


def test_one_dimension_lies_on_a_line():
    xy = plane(UnitRows(np.array([[1.0], [-2.0], [3.0]])))
    assert (xy[:, 1] == 0).all()
    assert xy[0, 0] == xy[2, 0] == -0.5 * xy[1, 0]


def test_the_file_holds_the_rows_of_the_table(tmp_path):
    unit = UnitRows(VECTORS[:3])
    write_map(tmp_path, unit, np.array([0, 2, 5]))
    with np.load(tmp_path / "map.npz", allow_pickle=False) as file:
        assert (file["xy"].shape, file["xy"].dtype, file["row"].tolist()) == ((3, 2), np.float32, [0, 2, 5])
    with pytest.raises(ValueError, match="3 vectors and 2 rows"):
        write_map(tmp_path, unit, np.array([0, 2]))
