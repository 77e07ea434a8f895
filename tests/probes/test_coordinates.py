import numpy as np
import pytest

from ssl_robust.neighbors import UnitRows
from ssl_robust.probes.coordinates import kernel_coordinates, linear_coordinates


@pytest.fixture
def unit():
    rng = np.random.default_rng(0)
    return UnitRows((rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6))).astype(np.float32))


def assert_uncorrelated(coordinates, rows):
    seen = coordinates.of(rows)
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-3)
    covariance = np.cov(seen.T, bias=True).reshape(seen.shape[1], seen.shape[1])
    np.testing.assert_allclose(covariance, np.diag(coordinates.variances), atol=1e-3 * coordinates.variances[0])
    assert (np.diff(coordinates.variances) <= 0).all()


def test_linear_coordinates_are_principal_components_of_standardised_vectors(unit):
    rows = unit.take(slice(None))
    coordinates = linear_coordinates(unit, np.arange(len(unit)), n_coordinates=4)
    assert_uncorrelated(coordinates, rows)
    standardised = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    expected = np.linalg.svd(standardised, compute_uv=False)[:4] ** 2 / 60
    np.testing.assert_allclose(coordinates.variances, expected, rtol=1e-3)
    whole = linear_coordinates(unit, np.arange(len(unit)), n_coordinates=50).of(rows)
    np.testing.assert_allclose(whole @ whole.T, standardised @ standardised.T, atol=1e-3)


def test_kernel_coordinates_equal_nystroem_written_out(unit):
    rows, landmarks = unit.take(slice(None)), np.array([3, 14, 15, 9, 26])
    coordinates = kernel_coordinates(unit, landmarks, np.arange(60), gamma=1.5)
    assert_uncorrelated(coordinates, rows)
    kernel = np.exp(1.5 * (rows.astype(np.float64) @ rows.T - 1))
    columns = kernel[:, landmarks] - kernel[:, landmarks].mean(axis=0)
    expected = columns @ np.linalg.inv(kernel[np.ix_(landmarks, landmarks)]) @ columns.T
    seen = coordinates.of(rows)
    np.testing.assert_allclose(seen @ seen.T, expected, atol=1e-4)


def test_kernel_coordinates_have_the_mean_of_the_rows_they_are_fitted_to(unit):
    some = np.arange(0, 60, 3)
    coordinates = kernel_coordinates(unit, np.arange(10), some, gamma=1.0)
    assert_uncorrelated(coordinates, unit.take(some))
    assert abs(coordinates.of(unit.take(np.arange(60))).mean()) > 1e-4


def test_fewer_rows_than_dimensions_leave_as_many_coordinates_as_there_are():
    few = UnitRows(np.random.default_rng(0).normal(size=(12, 40)).astype(np.float32))
    for coordinates in (
        linear_coordinates(few, np.arange(len(few)), n_coordinates=40),
        kernel_coordinates(few, np.arange(12), np.arange(12), gamma=1.0),
    ):
        assert len(coordinates.variances) == 11  # the mean takes one
        assert_uncorrelated(coordinates, few.take(slice(None)))


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_vectors_that_are_all_alike_have_no_coordinates(value):
    alike = UnitRows(np.full((50, 4), value, dtype=np.float32) * np.array([1, 2, 3, 7], dtype=np.float32))
    for coordinates in (
        linear_coordinates(alike, np.arange(len(alike)), n_coordinates=4),
        kernel_coordinates(alike, np.arange(5), np.arange(50), gamma=1.0),
    ):
        assert np.abs(coordinates.of(alike.take(slice(None)))).max(initial=0) < 1e-3


def test_a_large_mean_does_not_drown_small_differences():
    """Networks without negative features point one way; single precision must not eat what tells scans apart."""
    rng = np.random.default_rng(0)
    unit = UnitRows((rng.normal(size=(2000, 16)) + 1000).astype(np.float32))
    assert_uncorrelated(linear_coordinates(unit, np.arange(len(unit)), n_coordinates=16), unit.take(slice(None)))
