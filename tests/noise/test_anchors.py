import numpy as np
import pytest

from ssl_robust.noise.anchors import find_anchors


def written_out(probabilities, labels, fewest, share, z):
    """One sample more at a time, without a running sum."""
    shares, bounds = [], []
    for code in range(probabilities.shape[1]):
        size = int((labels == code).sum())
        surest = sorted(range(len(labels)), key=lambda row, c=code: -probabilities[row, c])[: max(fewest, size)]
        best = (0.0, np.inf)
        for n in range(min(len(surest), max(fewest, int(share * size))), len(surest) + 1):
            p = np.mean([labels[row] != code for row in surest[:n]])
            bound = (p + z**2 / (2 * n) + z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)
            best = min(best, (p, bound), key=lambda each: each[1])
        shares.append(best[0])
        bounds.append(best[1])
    return shares, bounds


@pytest.mark.parametrize("fewest", [5, 30, 500])
def test_as_written_out(fewest):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.3, 0.3, 0.3], size=200)
    labels = np.where(rng.random(200) < 0.2, 0, probabilities.argmax(axis=1))
    got = find_anchors(probabilities, labels, fewest=fewest, share=0.1, deviations=1.5)
    shares, bounds = written_out(probabilities, labels, fewest, 0.1, 1.5)
    np.testing.assert_allclose(got.shares, shares)
    np.testing.assert_allclose(got.bounds, bounds)
    best = int(np.argmin(bounds))
    assert got.rate == pytest.approx((3 * shares[best] + bounds[best]) / 4)
    assert got.spread == pytest.approx((bounds[best] - shares[best]) / 2)


def test_the_surest_scans_show_the_noise_of_their_class():
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=4000)
    probabilities = np.stack([1 - truth, truth], axis=1) * 0.8 + rng.random((4000, 1)) * [0.1, -0.1] + 0.1
    labels = np.where((truth == 1) & (rng.random(4000) < 0.3), 0, truth)
    got = find_anchors(probabilities, labels, fewest=30, share=0.1, deviations=1.5)
    np.testing.assert_allclose(got.shares, [0, 0.3], atol=0.06)
    assert (got.bounds > got.shares).all()
    assert got.rate < 0.01  # the class that can be told best


def test_ambiguity_raises_the_bound_and_never_lowers_it():
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=2000)
    unclear = np.full((2000, 2), 0.5) + rng.normal(scale=1e-3, size=(2000, 1)) * [1, -1]
    labels = np.where(rng.random(2000) < 0.1, 1 - truth, truth)
    assert (find_anchors(unclear, labels, fewest=30, share=0.1, deviations=1.5).bounds > 0.1).all()


def test_a_class_that_nobody_has():
    probabilities = np.full((40, 3), 1 / 3)
    got = find_anchors(probabilities, np.arange(40) % 2, fewest=30, share=0.1, deviations=1.5)
    assert got.shares[2] == got.bounds[2].round(12) == 1
