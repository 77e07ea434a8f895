"""Each score against its formula, written out sample by sample."""

import numpy as np
import pytest

from ssl_robust.audit.scores.chosen import packaged, score
from ssl_robust.audit.scores.distances import intra_extra
from ssl_robust.audit.scores.dynamics import aum, mean_loss, vog
from ssl_robust.audit.scores.knn import knn
from ssl_robust.audit.scores.probabilities import joint, normalized_margin, self_confidence
from ssl_robust.audit.scores.reliability import reliability, smallest_k
from ssl_robust.audit.scores.simifeat import neg_log, simifeat_rank, wrong_by_confident_joint
from ssl_robust.files import UserError
from ssl_robust.settings import defaults

N, K = 90, 3


@pytest.fixture
def noisy(make_evidence):
    """Overlapping classes of different sizes, a third of the labels wrong, patients of three."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(K), [50, 30, 10])
    vectors = np.eye(K, 5)[truth] + 0.6 * rng.normal(size=(N, 5))
    labels = np.where(rng.random(N) < 0.3, rng.integers(0, K, N), truth)
    probabilities = rng.dirichlet(np.ones(K) * 0.7, N).astype(np.float32)
    return make_evidence(vectors, labels, rng.integers(0, 30, N), probabilities=probabilities)


def unit(evidence):
    return evidence.unit.take(slice(None)).astype(np.float64)


def test_vote_and_its_logarithm(noisy):
    shares = 1 - knn(noisy, temperature=0.2)
    found, row = noisy.neighbors, 0
    weights = np.exp(found.similarities[row].astype(np.float64) / 0.2)
    alike = noisy.labels[found.indices[row]] == noisy.labels[row]
    assert shares[row] == pytest.approx(weights[alike].sum() / weights.sum(), abs=1e-6)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(shares > 0, -np.log(shares) / (1 - np.log(shares)), 1)
    np.testing.assert_allclose(neg_log(noisy, temperature=0.2), expected, atol=1e-9)


def test_the_vote_is_cut_at_the_class_share_of_wrong_labels(noisy):
    votes = knn(noisy, temperature=0.2)
    shares = [0.3, 0.0, 1.0]
    found = simifeat_rank(noisy, temperature=0.2, wrong_shares=shares)
    for row, label in enumerate(noisy.labels):
        others = votes[noisy.labels == label]
        q = (np.sum(others > votes[row]) + np.mean(others == votes[row]) * len(others) / 2) / len(others)
        w = shares[label]
        assert found[row] == pytest.approx((votes[row] + (q <= w)) / 2), row
    flagged = (found > 0.5)[noisy.labels == 0]
    assert flagged.sum() == pytest.approx(0.3 * len(flagged), abs=1.5)
    assert (found > 0.5)[noisy.labels == 2].all()
    assert not (found > 0.5)[noisy.labels == 1].any()


def test_rank_takes_its_shares_from_the_confident_joint(noisy):
    shares = wrong_by_confident_joint(noisy.labels, noisy.probabilities)
    given = simifeat_rank(noisy, temperature=0.2, wrong_shares=shares.tolist())
    np.testing.assert_array_equal(score(noisy, packaged("simifeat_rank", defaults("neighbors", "auto"))), given)
    for shape in ([0.1, 0.2], [0.1, 0.2, 1.5]):
        with pytest.raises(ValueError, match="expected 3 shares"):
            simifeat_rank(noisy, temperature=0.2, wrong_shares=shape)


def test_confident_joint_is_cleanlabs(noisy):
    count = pytest.importorskip("cleanlab.count")
    found = wrong_by_confident_joint(noisy.labels, noisy.probabilities)
    counted = count.compute_confident_joint(noisy.labels, noisy.probabilities, calibrate=False)
    np.testing.assert_allclose(found, 1 - np.diag(counted) / counted.sum(axis=1))
    assert found.min() > 0


def test_probabilities_equal_cleanlabs_qualities(noisy):
    rank = pytest.importorskip("cleanlab.rank")
    for own, method in ((self_confidence, "self_confidence"), (normalized_margin, "normalized_margin")):
        quality = rank.get_label_quality_scores(noisy.labels, noisy.probabilities, method=method)
        np.testing.assert_allclose(own(noisy), 1 - quality, atol=1e-6)


def test_margin_and_joint_by_hand(noisy):
    margins, joints = normalized_margin(noisy), joint(noisy, tolerated_entropy=0.3)
    for row, (p, label) in enumerate(zip(noisy.probabilities.astype(float), noisy.labels, strict=True)):
        assert margins[row] == pytest.approx((1 - p[label] + max(np.delete(p, label))) / 2)
        value = -np.log(p[label]) - max(-sum(p * np.log(p)) - 0.3, 0)
        assert joints[row] == pytest.approx((1 + value / (1 + abs(value))) / 2)


def test_probabilities_of_zero_and_one(make_evidence):
    probabilities = np.array([[1, 0], [1, 0], [0.5, 0.5]], dtype=np.float32)
    evidence = make_evidence(np.eye(3), [0, 1, 1], n_classes=2, k=2, probabilities=probabilities)
    assert self_confidence(evidence).tolist() == [0, 1, 0.5]
    assert normalized_margin(evidence).tolist() == [0, 1, 0.5]
    certain, absurd, ambiguous = joint(evidence, tolerated_entropy=0.3)
    assert certain == 0.5
    assert ambiguous < absurd < 1


def test_distances_to_the_nearest_of_each_kind(noisy):
    similarities = unit(noisy) @ unit(noisy).T
    similarities[noisy.groups[:, None] == noisy.groups] = -np.inf
    alike = noisy.labels[:, None] == noisy.labels
    same = 1 - np.where(alike, similarities, -np.inf).max(axis=1)
    other = 1 - np.where(alike, -np.inf, similarities).max(axis=1)
    np.testing.assert_allclose(intra_extra(noisy), same**2 / (same**2 + other**2), atol=1e-4)


def test_distances_that_are_not_there(make_evidence):
    copies = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
    found = intra_extra(make_evidence(copies, [0, 0, 1, 2, 0], k=1))
    assert found[:2].tolist() == [0.5, 0.5]  # a copy with the own label and a copy with another
    assert found[2:4].tolist() == [1, 1]  # alone in their classes, each a copy of another's
    one_patient = intra_extra(make_evidence(np.eye(3), [0, 0, 1], [0, 1, 1], k=2))
    assert one_patient[1] == 0  # the only other class is in its own group


def written_out_smallest_k(found, labels, k_min, k_max):
    for k in range(k_min, k_max, 2):
        if k > len(found):
            break
        votes = np.bincount(labels[found[:k]], minlength=K)
        if votes[labels[-1]] == votes.max():
            return k
    return k_max


def test_votes_weighed_by_reliability(noisy):
    indices, labels = noisy.neighbors.indices, noisy.labels
    chosen = smallest_k(noisy.neighbors, labels, n_classes=K, k_min=5, k_max=11)
    expected = []
    for row in range(N):
        own = np.append(labels, labels[row])
        expected.append(written_out_smallest_k(indices[row], own, 5, 11))
    assert chosen.tolist() == expected
    assert set(chosen.tolist()) >= {5, 7, 11}
    found = reliability(noisy, k_min=5, k_max=11)
    for row, label in enumerate(labels):
        carriers = np.sum((labels == label) & (noisy.groups != noisy.groups[row]))
        voters = indices[row, : min(carriers, 12)]
        weights = 1 / chosen[voters]
        assert found[row] == pytest.approx(weights[labels[voters] != label].sum() / weights.sum(), abs=1e-6)


def test_a_mislabelled_voter_hardly_counts(make_evidence):
    """Two clusters; two wrong labels beside a right one outvote nobody once they are weighed."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 40)
    labels = truth.copy()
    labels[:8] = 1
    vectors = np.eye(2, 6)[truth] + 0.2 * rng.normal(size=(80, 6))
    evidence = make_evidence(vectors, labels, n_classes=2, k=15)
    plain, weighed = knn(evidence, temperature=1e6), reliability(evidence, k_min=5, k_max=51)
    right = slice(8, 40)
    assert weighed[right].mean() < 0.5 * plain[right].mean()
    assert weighed[:8].mean() > plain[:8].mean()


def test_dynamics_and_samples_without_them(make_evidence):
    nan = np.nan
    loss = np.array([[1.0, 3], [0, 1], [nan, nan], [4, 4]])
    margin = np.array([[2.0, 4], [-9, -5], [nan, nan], [0, 0]])
    dynamics = {"loss": loss, "margin": margin, "vog": np.array([0.25, np.nan, 1, 3])}
    evidence = make_evidence(np.eye(4), [0, 1, 0, 1], n_classes=2, k=2, dynamics=dynamics)
    np.testing.assert_allclose(mean_loss(evidence), [2 / 3, 1 / 3, 2 / 3, 4 / 5])
    np.testing.assert_allclose(aum(evidence), [1 / 8, 15 / 16, 1 / 2, 1 / 2])
    np.testing.assert_allclose(vog(evidence), [1 / 5, 1 / 2, 1 / 2, 3 / 4])


def test_dynamics_that_are_missing_are_named(make_evidence):
    without = make_evidence(np.eye(4), [0, 1, 0, 1], n_classes=2, k=2)
    for function in (aum, mean_loss, vog):
        with pytest.raises(ValueError, match="of a training; give dynamics=RUN, a finetune run"):
            function(without)
    half = make_evidence(np.eye(4), [0, 1, 0, 1], n_classes=2, k=2, dynamics={"loss": np.full((4, 2), np.nan)})
    with pytest.raises(ValueError, match=r"recorded no vog.*trainer\.gradients=true"):
        vog(half)
    with pytest.raises(ValueError, match="trained on none of these samples"):
        mean_loss(half)


def test_only_scores_are_called(noisy):
    with pytest.raises(UserError, match="_target_"):
        score(noisy, {"_target_": "os.system"})
