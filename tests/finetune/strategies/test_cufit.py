import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategies.cufit import Cufit
from ssl_robust.finetune.strategy import Evaluation
from ssl_robust.records import Batch, TrainInfo

N, D, K = 30, 5, 3
LABELS = torch.arange(N) % K


def started():
    torch.manual_seed(0)
    strategy = Cufit(adapter_dim=2)
    models = strategy.build(lambda: Classifier(nn.Linear(D, D), D, K))
    strategy.start(TrainInfo(LABELS, torch.arange(N), K, D, believe=pytest.fail))
    vectors = 3 + 2 * torch.randn(N, D)
    strategy.plan_epoch(0, lambda number: Evaluation(vectors, torch.zeros(N, K), torch.arange(N)))
    return strategy, models, vectors


def test_each_stage_is_taught_what_the_one_before_agrees_with():
    strategy, models, vectors = started()
    nn.init.normal_(strategy.adapter.up.weight)
    rows = torch.randperm(N)[:20]
    batch = Batch(torch.randn(1, 20, D), LABELS[rows], rows)
    (loss,) = strategy.losses(models, [{"train": batch}], 3)
    standard = (vectors - vectors.mean(dim=0)) / vectors.std(dim=0, correction=0)
    first = strategy.probe(standard[rows])
    second = strategy.adapter(standard[rows])
    last = models[0](batch.images[0])
    by_first, by_second = (each.argmax(dim=1) == batch.labels for each in (first, second))
    assert 0 < by_first.sum() < 20
    assert not torch.equal(by_first, by_second)
    parts = [
        F.cross_entropy(first, batch.labels),
        F.cross_entropy(second[by_first], batch.labels[by_first]),
        F.cross_entropy(last[by_second], batch.labels[by_second]),
    ]
    torch.testing.assert_close(loss, sum(parts))
    for module, part in zip((strategy.probe, strategy.adapter, models[0]), parts, strict=True):
        own = list(module.parameters())
        got, wanted = (torch.autograd.grad(each, own, retain_graph=True) for each in (loss, part))
        for left, right in zip(got, wanted, strict=True):
            torch.testing.assert_close(left, right)


def test_a_batch_that_nobody_agrees_with_teaches_only_the_probe():
    strategy, models, _ = started()
    with torch.no_grad():
        for layer in (strategy.probe, strategy.adapter.head):
            layer.weight.zero_()
            layer.bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
    rows = torch.arange(N)[LABELS > 0]
    (loss,) = strategy.losses(models, [{"train": Batch(torch.randn(1, 20, D), LABELS[rows], rows)}], 1)
    loss.backward()
    assert all(float(each.grad.abs().sum()) == 0 for each in (*models[0].parameters(), *strategy.adapter.parameters()))
    assert float(strategy.probe.bias.grad.abs().sum()) > 0


def test_the_features_are_those_before_training_and_a_resumed_run_keeps_them():
    strategy, models, _ = started()
    before = strategy.features.clone()
    strategy.plan_epoch(1, lambda number: pytest.fail("not needed"))
    assert torch.equal(strategy.features, before)
    again, _, _ = started()
    again.features.zero_()
    again.load_state_dict(strategy.state_dict())
    assert torch.equal(again.features, before)
    assert strategy.n_models == len(models) == 1  # the classifier that is saved and asked is the last stage


def test_an_adapter_without_width_is_refused():
    with pytest.raises(ValueError, match="adapter_dim=0; expected a whole number from 1"):
        Cufit(adapter_dim=0)
