from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.inputs import FeatureInputs
from ssl_robust.finetune.loop import Loop
from ssl_robust.finetune.strategy import build_strategy
from ssl_robust.finetune.task import Task
from ssl_robust.records import Batch, Believed, TrainInfo
from ssl_robust.settings import defaults
from ssl_robust.training.display import Display

N, D, K = 24, 6, 4


@pytest.fixture
def info():
    """24 samples of four unequal classes, and a believed noise of which nothing is special."""
    rng = np.random.default_rng(1)
    labels = torch.from_numpy(np.repeat(np.arange(K), [12, 6, 4, 2]))
    posterior = rng.dirichlet(np.ones(K), size=N).astype(np.float32)
    transition = 0.6 * np.eye(K) + 0.4 * rng.dirichlet(np.ones(K), size=K)
    believed = Believed(posterior, transition, 0.3)
    return TrainInfo(labels, torch.arange(N), K, D, believe=lambda: believed)


@pytest.fixture
def measure(info):
    """Name of a strategy and values of its YAML to change -> one step on a batch of all samples in another order."""

    def step(name, sure=1.0, **values):
        strategy = build_strategy(defaults("strategy", name) | values)
        torch.manual_seed(0)
        (model,) = strategy.build(lambda: Classifier(nn.Identity(), D, K))
        model.head.weight.data *= sure
        strategy.start(info)
        strategy.train()
        indices = torch.randperm(N)
        labels = info.labels[indices]
        batch = Batch(3 * torch.randn(1, N, D), labels, indices)
        (loss,) = strategy.losses([model], [{"train": batch}], 0)
        loss.backward()
        with torch.no_grad():
            logits = model(batch.images[0]).double().numpy()
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return SimpleNamespace(
            strategy=strategy,
            model=model,
            batch=batch,
            loss=loss.detach(),
            gradients=[parameter.grad for parameter in model.parameters()],
            p=p / p.sum(axis=1, keepdims=True),
            labels=labels.numpy(),
            indices=indices.numpy(),
            own=(p / p.sum(axis=1, keepdims=True))[np.arange(N), labels.numpy()],
        )

    return step


@pytest.fixture
def assert_same_step():
    """Two steps have the same loss and the same gradients."""

    def check(ours, theirs, **tolerance):
        torch.testing.assert_close(ours.loss, theirs.loss, **tolerance)
        for one, other in zip(ours.gradients, theirs.gradients, strict=True):
            assert other.abs().max() > 1e-3
            torch.testing.assert_close(one, other, **tolerance)

    return check


CPU = torch.device("cpu")


class Problem:
    """Gaussian classes in so many dimensions that a linear layer can learn the wrong labels among them.

    Args:
        counts: training samples of each class; as many again of each, but equally many, are for testing.
        rate: of symmetric noise.
    """

    def __init__(self, counts=(100, 100, 100), *, rate=0.4, dim=60, distance=3.5, seed=0):
        rng = np.random.default_rng(seed)
        self.n_classes = len(counts)
        test = np.repeat(np.arange(self.n_classes), 100)
        self.truth = np.concatenate([np.repeat(np.arange(self.n_classes), counts), test])
        self.n_train = sum(counts)
        centers = distance * np.eye(self.n_classes, dim)
        self.vectors = torch.from_numpy((centers[self.truth] + rng.normal(size=(len(self.truth), dim))).astype("f4"))
        self.given = self.truth.copy()
        wrong = np.flatnonzero(rng.random(self.n_train) < rate)
        self.given[wrong] = (self.truth[wrong] + rng.integers(1, self.n_classes, len(wrong))) % self.n_classes
        self.rate = len(wrong) / self.n_train

    def loop(self, name, *, n_epochs=20, batch_size=32, **options):
        """A loop that trains linear layers by a strategy's YAML, and the strategy."""
        strategy = build_strategy(defaults("strategy", name) | options)
        torch.manual_seed(0)
        models = strategy.build(lambda: Classifier(nn.Identity(), self.vectors.shape[1], self.n_classes))
        labels = self.given[: self.n_train]
        shares = np.eye(self.n_classes, dtype=np.float32)[self.truth[: self.n_train]]
        believed = Believed(shares, np.eye(self.n_classes), self.rate)
        strategy.start(
            TrainInfo(torch.from_numpy(labels), torch.arange(self.n_train), self.n_classes, self.vectors.shape[1],
                      believe=lambda: believed, n_epochs=n_epochs)
        )  # fmt: skip
        train, test = np.arange(self.n_train), np.arange(self.n_train, len(self.truth))
        manifest = SimpleNamespace(classes=tuple(range(self.n_classes)))
        task = Task(manifest, train, train[:0], test, given=self.given, truth=self.truth, corruption=None)
        loop = Loop(
            strategy, models, inputs=FeatureInputs(self.vectors, train, CPU), task=task,
            optim={"_target_": "torch.optim.AdamW", "lr": 0.1, "weight_decay": 0.0, "warmup": 0.0},
            trainer={"max_epochs": n_epochs, "batch_size": batch_size, "accumulate": 1},
            encoder_lr_scale=1.0, seed=0, device=CPU,
        )  # fmt: skip
        return loop, strategy

    def fit(self, name, **options):
        """Accuracy on the test samples after the last epoch, in all and of each class."""
        loop, _ = self.loop(name, **options)
        for epoch in range(loop.n_epochs):
            loop.epoch(epoch, quiet())
        right = loop.predict(loop.task.test).argmax(axis=1) == self.truth[loop.task.test]
        return right.mean(), right.reshape(self.n_classes, -1).mean(axis=1)


def quiet():
    return Display(first_epoch=0, n_epochs=1, scans_per_epoch=1, shown={}, enabled=False)


@pytest.fixture(scope="session")
def problem():
    return Problem


@pytest.fixture(scope="session")
def silent():
    return quiet
