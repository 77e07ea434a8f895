import json

import numpy as np
import pytest

from ssl_robust.audit.estimate import as_record, estimate_errors
from ssl_robust.noise.anchors import find_anchors
from ssl_robust.noise.likelihood import fit_noise
from ssl_robust.noise.opinion import Opinion
from ssl_robust.probes.soft import softmax
from ssl_robust.settings import stage_defaults

STAGE = stage_defaults("audit")
SETTINGS = {**STAGE["estimate"], "n_resamples": 24}
T = np.array([[0.85, 0.1, 0.05], [0.05, 0.9, 0.05], [0.0, 0.2, 0.8]])


def simulated(n=400, seed=0):
    """An opinion as three probes have it on labels with noise T, the labels, and which are wrong."""
    rng = np.random.default_rng(seed)
    posterior = softmax(rng.normal(size=(n, 3)) + 4 * np.eye(3)[rng.integers(3, size=n)])
    truth = (rng.random((n, 1)) > posterior.cumsum(axis=1)).sum(axis=1).clip(max=2)
    labels = (rng.random((n, 1)) > T[truth].cumsum(axis=1)).sum(axis=1).clip(max=2)
    return formed(np.log(posterior), labels, rng), labels, truth != labels


def formed(scores, labels, rng):
    views = [scores, *(scores + 0.1 * rng.normal(size=scores.shape) for _ in range(2))]
    anchors = find_anchors(softmax(scores), labels, **STAGE["noise_model"]["anchors"])
    noise = fit_noise(scores, labels, anchors, settings=STAGE["noise_model"])
    return Opinion(noise.posterior(scores, labels), views, noise, anchors, np.ones(len(labels), dtype=bool))


def estimated(opinion, labels, groups=None, **settings):
    groups = np.arange(len(labels)) if groups is None else groups
    return estimate_errors(
        opinion, labels, groups, settings={**SETTINGS, **settings}, noise_model=STAGE["noise_model"], seed=0
    )


def width(estimate):
    return estimate.rate.high - estimate.rate.low


def test_the_estimate_lies_in_its_interval_and_is_the_mean_of_what_is_believed():
    opinion, labels, wrong = simulated()
    found = estimated(opinion, labels)
    assert (found.n, found.level, found.n_resamples) == (400, 0.9, 24)
    assert found.rate.estimate == pytest.approx(opinion.wrong(labels).mean())
    for code, each in enumerate(found.by_class):
        assert each.estimate == pytest.approx(opinion.wrong(labels)[labels == code].sum())
        assert 0 <= each.low <= each.estimate <= each.high <= (labels == code).sum()
    assert 0 <= found.rate.low <= found.rate.estimate <= found.rate.high <= 1
    matrix, low, high = found.transition
    assert np.array_equal(matrix, opinion.noise.transition)
    assert (low <= matrix).all()
    assert (matrix <= high).all()
    assert found.prior.sum() == pytest.approx(1)
    assert abs(found.rate.estimate - wrong.mean()) < 0.06
    assert found.rate.low - 0.03 < wrong.mean() < found.rate.high + 0.03


def test_a_higher_level_is_a_wider_interval():
    opinion, labels, _ = simulated()
    narrow, wide = (estimated(opinion, labels, level=level) for level in (0.5, 0.95))
    assert (narrow.level, wide.level) == (0.5, 0.95)
    assert wide.rate.low <= narrow.rate.low < narrow.rate.high <= wide.rate.high
    assert width(wide) > 1.3 * width(narrow)


def test_whole_patients_are_drawn():
    """Ten scans each that are alike say no more than one of them."""
    rng = np.random.default_rng(0)
    few, labels, _ = simulated(200)
    scores, copied = np.repeat(few.views[0], 10, axis=0), np.repeat(labels, 10)
    opinion = formed(scores, copied, rng)
    each_alone, patients = (estimated(opinion, copied, groups) for groups in (None, np.repeat(np.arange(200), 10)))
    assert width(patients) > 1.8 * width(each_alone)
    assert patients.rate.estimate == each_alone.rate.estimate


def test_more_patients_know_better():
    (few, of_few, _), (many, of_many, _) = simulated(150), simulated(2400)
    assert width(estimated(many, of_many)) < 0.8 * width(estimated(few, of_few))


def test_an_interval_of_fewer_scans_than_there_are_is_narrowed():
    opinion, labels, _ = simulated(2400)
    whole, part = estimated(opinion, labels), estimated(opinion, labels, drawn_from=400)
    assert part.rate.estimate == whole.rate.estimate
    assert 0.4 < width(part) / width(whole) < 2.2  # without, about the root of 6


def test_same_seed_same_interval():
    opinion, labels, _ = simulated()
    assert estimated(opinion, labels).rate == estimated(opinion, labels).rate


def test_what_audit_json_says():
    opinion, labels, _ = simulated()
    found = estimated(opinion, labels)
    record = json.loads(json.dumps(as_record(found, None, ["a", "b", "c"])))
    assert set(record) == {"estimate", "estimate_why", "transition"}
    assert record["estimate_why"] is None
    assert set(record["estimate"]) == {"n_wrong", "rate", "n", "level", "n_resamples"}
    for name in ("estimate", "low", "high"):
        assert record["estimate"]["n_wrong"][name] == pytest.approx(400 * record["estimate"]["rate"][name])
    assert set(record["transition"]) == {"classes", "matrix", "low", "high", "prior"}
    np.testing.assert_allclose(np.sum(record["transition"]["matrix"], axis=1), 1, atol=2e-4)
    assert record["transition"]["classes"] == ["a", "b", "c"]
    assert as_record(None, "too few", ["a"]) == {"estimate": None, "estimate_why": "too few", "transition": None}
