import numpy as np
import pytest

from ssl_robust.data.dawid_skene import dawid_skene
from ssl_robust.data.votes import vote_counts


def written_out(votes, n_classes, n_steps):
    """Eqs. 2.3 to 2.5 of Dawid and Skene (1979), cell by cell."""
    n, n_readers = votes.shape
    t = np.zeros((n, n_classes))
    for i in range(n):
        for vote in votes[i][votes[i] >= 0]:
            t[i, vote] += 1 / (votes[i] >= 0).sum()
    for step in range(n_steps + 1):
        prior = t.sum(axis=0) / n
        errors = np.zeros((n_readers, n_classes, n_classes))
        for r in range(n_readers):
            for j in range(n_classes):
                said = [sum(t[i, j] for i in range(n) if votes[i, r] == c) for c in range(n_classes)]
                errors[r, j] = np.array(said) / sum(said)
        if step == n_steps:
            return t, errors, prior
        for i in range(n):
            joint = prior.copy()
            for r in range(n_readers):
                if votes[i, r] >= 0:
                    joint *= errors[r, :, votes[i, r]]
            t[i] = joint / joint.sum()


def simulated(confusions, prior, n, seed, missing=0.0):
    """Classes and the votes of readers with these error rates, of which a share is missing."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(prior), size=n, p=prior)
    votes = np.stack(
        [
            (rng.random((n, 1)) > np.cumsum(each, axis=1)[truth]).sum(axis=1).clip(max=len(prior) - 1)
            for each in confusions
        ],
        axis=1,
    )
    return truth, np.where(rng.random(votes.shape) < missing, -1, votes)


GOOD = np.array([[0.90, 0.07, 0.03], [0.05, 0.90, 0.05], [0.05, 0.10, 0.85]])
FAIR = np.array([[0.80, 0.10, 0.10], [0.10, 0.75, 0.15], [0.10, 0.10, 0.80]])
BAD = np.array([[0.10, 0.85, 0.05], [0.10, 0.80, 0.10], [0.05, 0.85, 0.10]])  # nearly always the second class
PRIOR = np.array([0.5, 0.2, 0.3])


def test_as_the_paper_writes_it():
    votes = np.array(
        [[0, 0, 1], [0, 0, 0], [1, 1, -1], [1, -1, 1], [0, 1, 1], [0, 0, 1], [1, 1, 1], [-1, 0, 0], [0, 0, 0]]
    )
    found = dawid_skene(votes, n_classes=2)
    t, errors, prior = written_out(votes, 2, found.n_steps)
    assert found.n_steps > 2
    np.testing.assert_allclose(found.probabilities, t, atol=1e-7)
    np.testing.assert_allclose(found.confusions, errors, atol=1e-7)
    np.testing.assert_allclose(found.prior, prior, atol=1e-7)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_error_rates_of_known_readers_are_found(missing):
    known = np.stack([GOOD, FAIR, BAD, FAIR])
    _, votes = simulated(known, PRIOR, 20_000, seed=0, missing=missing)
    found = dawid_skene(votes, n_classes=3)
    np.testing.assert_allclose(found.confusions, known, atol=0.03)
    np.testing.assert_allclose(found.prior, PRIOR, atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_right_more_often_than_a_majority_with_bad_readers(seed):
    truth, votes = simulated([GOOD, FAIR, BAD, BAD], PRIOR, 2000, seed=seed)
    by_count = vote_counts(votes, n_classes=3).argmax(axis=1)
    found = dawid_skene(votes, n_classes=3).probabilities.argmax(axis=1)
    assert (found == truth).mean() > (by_count == truth).mean() + 0.1


def test_rows_and_readers_in_another_order_change_nothing():
    _, votes = simulated([GOOD, FAIR, BAD], PRIOR, 300, seed=1, missing=0.2)
    votes[0] = -1
    found = dawid_skene(votes, n_classes=3)
    order = np.random.default_rng(0).permutation(300)
    turned = dawid_skene(votes[order][:, [2, 0, 1]], n_classes=3)
    np.testing.assert_allclose(turned.probabilities, found.probabilities[order], atol=1e-8)
    np.testing.assert_allclose(turned.confusions, found.confusions[[2, 0, 1]], atol=1e-8)
    np.testing.assert_allclose(found.probabilities[0], found.prior, atol=1e-6)  # nobody looked
    np.testing.assert_allclose(dawid_skene(votes[1:], n_classes=3).prior, found.prior)


def test_two_readers_cannot_be_told_apart():
    with pytest.raises(ValueError, match="there are 2 readers"):
        dawid_skene(np.zeros((3, 2), int), n_classes=2)
