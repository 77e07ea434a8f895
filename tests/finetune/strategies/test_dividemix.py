import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategies import dividemix as module
from ssl_robust.finetune.strategies.dividemix import DivideMix
from ssl_robust.finetune.strategy import Evaluation
from ssl_robust.records import Batch, Believed, TrainInfo
from ssl_robust.settings import defaults

N, D, K = 12, 4, 3
LABELS = torch.arange(N) % K


def started(**options):
    strategy = DivideMix(**{k: v for k, v in (defaults("strategy", "dividemix") | options).items() if k != "_target_"})
    torch.manual_seed(0)
    models = strategy.build(lambda: Classifier(nn.Linear(D, D), D, K))
    posterior = np.tile([0.7, 0.2, 0.1], (N, 1))
    strategy.start(
        TrainInfo(LABELS, torch.arange(N), K, D, believe=lambda: Believed(posterior, np.eye(K), 0.3), n_epochs=20)
    )
    return strategy, models


def batch(rows, seed):
    rows = torch.tensor(rows)
    return Batch(torch.randn(2, len(rows), D, generator=torch.Generator().manual_seed(seed)), LABELS[rows], rows)


def test_warm_up_is_cross_entropy_less_the_entropy():
    strategy, models = started(confidence_penalty=0.5)
    batches = [{"labelled": batch(range(N), seed)} for seed in range(2)]
    for loss, model, named in zip(strategy.losses(models, batches, 0), models, batches, strict=True):
        logits = model(named["labelled"].images[0])
        p = logits.softmax(dim=1)
        torch.testing.assert_close(loss, F.cross_entropy(logits, LABELS) + 0.5 * (p * p.log()).sum(dim=1).mean())


def test_each_network_is_given_the_division_of_the_other():
    strategy, _ = started()
    asked = []

    def evaluate(number):
        asked.append(number)
        wrong = torch.arange(N) < (3 if number == 0 else 6)  # of small probability for this network
        logits = 4.0 * F.one_hot(torch.where(wrong, (LABELS + 1) % K, LABELS), K)
        return Evaluation(torch.zeros(N, D), logits.float(), torch.arange(N))

    plan = strategy.plan_epoch(5, evaluate)
    assert asked == [1, 0]
    for named, n_wrong in zip(plan, (6, 3), strict=True):
        assert list(named) == ["labelled", "unlabelled"]
        np.testing.assert_array_equal(named["labelled"].indices, np.arange(n_wrong, N))
        np.testing.assert_array_equal(named["unlabelled"].indices, np.arange(n_wrong))
        assert {stream.n_views for stream in named.values()} == {2}
    assert strategy.clean[0, :6].max() < 0.5 < strategy.clean[0, 6:].min()


@pytest.mark.parametrize("prior", ["estimated", "uniform"])
def test_loss_equals_the_formulas_written_out(monkeypatch, prior):
    """Without mixup, in NumPy: co-refinement, co-guessing, sharpening, three terms."""
    strategy, models = started(alpha=0.0, class_prior=prior, lambda_u=25.0, rampup_epochs=16)
    strategy.clean.copy_(torch.rand(2, N))
    batches = [{"labelled": batch([0, 1, 2, 3, 4], k), "unlabelled": batch([5, 6, 7, 8], 10 + k)} for k in range(2)]
    losses = strategy.losses(models, batches, 9)

    def softmax(model, images):
        return model(images).softmax(dim=1).detach().double().numpy()

    def sharp(p):
        return p**2 / (p**2).sum(axis=1, keepdims=True)

    for k, named in enumerate(batches):
        x, u = named["labelled"], named["unlabelled"]
        w = strategy.clean[k, x.indices].numpy()[:, None]
        own = np.mean([softmax(models[k], view) for view in x.images], axis=0)
        refined = sharp(w * np.eye(K)[x.labels] + (1 - w) * own)
        guessed = sharp(np.mean([softmax(model, view) for model in models for view in u.images], axis=0))
        px, pu = (np.concatenate([softmax(models[k], view) for view in part.images]) for part in (x, u))
        loss_x = -np.mean(np.sum(np.tile(refined, (2, 1)) * np.log(px), axis=1))
        loss_u = np.mean((pu - np.tile(guessed, (2, 1))) ** 2)
        pi = np.array([0.7, 0.2, 0.1]) if prior == "estimated" else np.full(K, 1 / 3)
        penalty = np.sum(pi * np.log(pi / np.concatenate([px, pu]).mean(axis=0)))
        assert losses[k].item() == pytest.approx(loss_x + 25 * (9 - 5) / 16 * loss_u + penalty, rel=1e-4)


def test_all_that_is_trained_on_goes_through_mixup_together(monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "mix", lambda images, targets, alpha: seen.append((images, targets)) or (images, targets)
    )
    strategy, models = started()
    batches = [{"labelled": batch([0, 1], k), "unlabelled": batch([2, 3, 4], k)} for k in range(2)]
    strategy.losses(models, batches, 6)
    for (images, targets), named in zip(seen, batches, strict=True):
        torch.testing.assert_close(images, torch.cat([*named["labelled"].images, *named["unlabelled"].images]))
        assert targets.shape == (10, K)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(10))
        assert not targets.requires_grad
    assert all(model.training for model in models)


def test_an_empty_split_of_either_kind_is_no_end(problem, silent):
    """All losses alike: everything is labelled; a threshold that no one passes: likewise."""
    for options in ({"p_threshold": 0.0}, {"p_threshold": 1.0}):
        loop, strategy = problem(counts=(9, 9, 9)).loop("dividemix", n_epochs=3, warmup_epochs=1, **options)
        for epoch in range(3):
            facts = loop.epoch(epoch, silent())
            assert np.isfinite(facts["loss"])
        plan = strategy.plan_epoch(2, loop.evaluate)
        assert all(len(named["unlabelled"].indices) == 0 for named in plan)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("class_prior", "given"),
        ("temperature", 0),
        ("p_threshold", 7),
        ("alpha", -1),
        ("lambda_u", -5),
        ("rampup_epochs", -1),
        ("confidence_penalty", float("nan")),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}; expected"):
        started(**{option: value})
