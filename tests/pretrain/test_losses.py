"""The losses of the methods against the papers' formulas, written out with loops on a small batch."""

import numpy as np
import pytest
import torch
from tiny import MULTI_CROP, START, B, make

from ssl_robust.records import Progress


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def log_softmax(row):
    return row - row.max() - np.log(np.exp(row - row.max()).sum())


def loss_of(method, views, progress=START):
    return method.loss(views, progress)["loss"].item()


def projected(method, views, head):
    with torch.no_grad():
        return [head(method.encoder(view)).double().numpy() for view in views]


def test_simclr_is_nt_xent():
    method, views = make("simclr", hidden_dim=16, output_dim=8, temperature=0.3)
    z = unit(np.concatenate(projected(method, views, method.head)))
    total = 0.0
    for i in range(2 * B):
        others = [j for j in range(2 * B) if j != i]
        scores = np.array([z[i] @ z[j] / 0.3 for j in others])
        total -= log_softmax(scores)[others.index((i + B) % (2 * B))]
    assert loss_of(method, views) == pytest.approx(total / (2 * B), rel=1e-5)


def test_moco_is_infonce_against_the_queue():
    method, views = make("moco", hidden_dim=16, output_dim=8, queue_size=20, temperature=0.2)
    queue = method.criterion.memory_bank.bank.double().numpy().copy()
    queries = [unit(q) for q in projected(method, views, method.head)]
    keys = [unit(k) for k in projected(method, views, method.key_head)]  # the key encoder is still a copy
    total = 0.0
    for query, key in ((queries[0], keys[1]), (queries[1], keys[0])):
        for q, k in zip(query, key, strict=True):
            total -= log_softmax(np.concatenate([[q @ k], queue @ q]) / 0.2)[0]
    assert loss_of(method, views) == pytest.approx(total / (2 * B), rel=1e-5)
    expected = np.concatenate([keys[1], keys[0]])
    assert np.allclose(method.criterion.memory_bank.bank[: 2 * B], expected, atol=1e-6)


def test_byol_is_the_cosine_with_the_teacher():
    method, views = make("byol", hidden_dim=16, output_dim=8)
    with torch.no_grad():
        p = [unit(method.predictor(method.projector(method.encoder(v))).double().numpy()) for v in views]
    z = [unit(t) for t in projected(method, views, method.teacher_projector)]
    expected = -0.5 * ((p[0] * z[1]).sum(1).mean() + (p[1] * z[0]).sum(1).mean())
    assert loss_of(method, views) == pytest.approx(expected, rel=1e-5)


def test_simsiam_is_the_cosine_with_a_stopped_gradient():
    method, views = make("simsiam", projection_dim=16, prediction_dim=4)
    z = projected(method, views, method.projector)
    with torch.no_grad():
        p = [unit(method.predictor(torch.tensor(each).float()).double().numpy()) for each in z]
    expected = -0.5 * ((p[0] * unit(z[1])).sum(1).mean() + (p[1] * unit(z[0])).sum(1).mean())
    assert loss_of(method, views) == pytest.approx(expected, rel=1e-5)


def test_swav_predicts_the_swapped_codes():
    method, views = make("swav", crops=MULTI_CROP, n_prototypes=5, hidden_dim=16, output_dim=8, sinkhorn_epsilon=0.05)
    with torch.no_grad():
        features = torch.cat([method.encoder(view) for view in views])
        scores = method.head(features).double().numpy()
    scores = np.split(unit(scores) @ method.prototypes.weight.detach().double().numpy().T, len(views))
    total = 0.0
    for i in range(2):
        codes = np.exp(scores[i] / 0.05)  # Sinkhorn: prototypes are used alike, each scan's codes sum to one
        for _ in range(3):
            codes /= codes.sum(axis=0)
            codes /= codes.sum(axis=1, keepdims=True)
        for v in range(len(views)):
            if v != i:
                cross = [-(q * log_softmax(s / 0.1)).sum() for q, s in zip(codes, scores[v], strict=True)]
                total += np.mean(cross) / (len(views) - 1)
    assert loss_of(method, views) == pytest.approx(total / 2, rel=1e-4)


def test_barlow_twins_pulls_the_correlations_to_the_identity():
    method, views = make("barlow_twins", projection_dim=8, redundancy_weight=0.1)
    first, second = projected(method, views, method.projector)
    a = (first - first.mean(0)) / np.sqrt(first.var(0) + 1e-5)  # batch normalisation's epsilon
    b = (second - second.mean(0)) / np.sqrt(second.var(0) + 1e-5)
    c = a.T @ b / B
    expected = ((np.diag(c) - 1) ** 2).sum() + 0.1 * ((c - np.diag(np.diag(c))) ** 2).sum()
    assert loss_of(method, views) == pytest.approx(expected, rel=1e-4)


def test_vicreg_is_the_sum_of_three_terms():
    weights = {"invariance_weight": 5.0, "variance_weight": 3.0, "covariance_weight": 2.0}
    method, views = make("vicreg", projection_dim=8, **weights)
    z = projected(method, views, method.projector)
    invariance = ((z[0] - z[1]) ** 2).mean()
    variance = sum(np.maximum(0, 1 - np.sqrt(each.var(0, ddof=1) + 1e-4)).mean() for each in z) / 2
    covariances = [np.cov(each.T) for each in z]
    covariance = sum(((c - np.diag(np.diag(c))) ** 2).sum() / 8 for c in covariances)
    assert loss_of(method, views) == pytest.approx(5 * invariance + 3 * variance + 2 * covariance, rel=1e-4)


def test_dino_is_the_cross_entropy_with_the_centred_teacher():
    sizes = {"hidden_dim": 16, "bottleneck_dim": 8, "output_dim": 10}
    teacher = {"teacher_temperature": [0.05, 0.07], "warmup": 0.5, "center_momentum": 0.9}
    method, views = make("dino", crops=MULTI_CROP, **sizes, **teacher)
    method.criterion.center += torch.linspace(-0.2, 0.2, 10)
    center = method.criterion.center.double().numpy().ravel().copy()
    student = projected(method, views, method.head)
    teacher = projected(method, views[:2], method.teacher_head)
    temperature = 0.06  # half of the warm-up is over
    total, terms = 0.0, 0
    for t, targets in enumerate(teacher):
        for s, outputs in enumerate(student):
            if s != t:
                terms += 1
                for target, output in zip(targets, outputs, strict=True):
                    q = np.exp(log_softmax((target - center) / temperature))
                    total -= (q * log_softmax(output / 0.1)).sum() / B
    assert loss_of(method, views, Progress(25, 100, 2, 10)) == pytest.approx(total / terms, rel=1e-4)
    moved = 0.9 * center + 0.1 * np.concatenate(teacher).mean(axis=0)
    assert np.allclose(method.criterion.center.numpy().ravel(), moved, atol=1e-6)
