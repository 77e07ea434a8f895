"""What the strategies are for: three Gaussian classes, 40 % of the labels wrong, and a network that memorises."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import build_strategy
from ssl_robust.records import Batch, Believed, TrainInfo
from ssl_robust.settings import defaults

N, D, K, RATE = 900, 10, 3, 0.4
ROBUST = ["gce", "mae", "symmetric_ce", "active_passive", "elr", "forward", "adaptation_layer", "mixup", "reweight"]


def drawn(n, seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(K, size=n)
    vectors = rng.normal(size=(n, D)) + 3 * np.eye(K, D)[truth]
    return torch.from_numpy(vectors.astype(np.float32)), truth


def known(vectors, given, transition):
    """The best of opinions: Bayes' rule with the densities and the noise that the data were drawn from."""
    logits = 3 * vectors[:, :K].numpy()
    p = np.exp(logits - logits.max(axis=1, keepdims=True)) * transition[:, given].T
    return Believed((p / p.sum(axis=1, keepdims=True)).astype(np.float32), transition, RATE)


@cache
def accuracy(name):
    """Share of new samples whose true class the model says."""
    vectors, truth = drawn(N, 0)
    rng = np.random.default_rng(1)
    given = np.where(rng.random(N) < RATE, (truth + rng.integers(1, K, size=N)) % K, truth)
    transition = (1 - RATE) * np.eye(K) + RATE / (K - 1) * (1 - np.eye(K))
    labels = torch.from_numpy(given)
    strategy = build_strategy(defaults("strategy", name))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(D, 32), nn.ReLU())
    models = strategy.build(lambda: Classifier(network, 32, K))
    strategy.start(TrainInfo(labels, torch.arange(N), K, D, believe=lambda: known(vectors, given, transition)))
    optimizer = torch.optim.Adam([*strategy.parameters(), *models[0].parameters()], lr=0.01)
    strategy.train()
    for epoch in range(60):
        for indices in torch.randperm(N).split(100):
            batch = Batch(vectors[indices][None], labels[indices], indices)
            (loss,) = strategy.losses(models, [{"train": batch}], epoch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    test, truth = drawn(2000, 2)
    with torch.no_grad():
        return np.mean(strategy.eval().predict(models, test).argmax(dim=1).numpy() == truth)


def test_cross_entropy_memorises():
    assert accuracy("cross_entropy") < 0.75  # the means of the classes alone give 0.97


@pytest.mark.parametrize("name", ROBUST)
def test_robust_strategies_forgive_what_cross_entropy_learns(name):
    assert accuracy(name) > accuracy("cross_entropy") + 0.03
