from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.inputs import FeatureInputs
from ssl_robust.finetune.loop import Loop
from ssl_robust.finetune.strategy import Strategy, Stream
from ssl_robust.finetune.task import Task
from ssl_robust.records import TrainInfo
from ssl_robust.run import UserError
from ssl_robust.training.display import Display

CPU = torch.device("cpu")
N_TRAIN, N = 23, 30


class Recorder(Strategy):
    """Two networks; keeps what it was shown."""

    n_models = 2

    def __init__(self, plan):
        super().__init__()
        self.plan, self.shown, self.evaluations = plan, [], []

    def plan_epoch(self, epoch, evaluate):
        self.evaluations.append([evaluate(number) for number in range(2)])
        return self.plan

    def losses(self, models, batches, epoch):
        self.shown.append(batches)
        return [
            F.cross_entropy(model(named["train"].images[0]), named["train"].labels)
            for model, named in zip(models, batches, strict=True)
        ]


def make_loop(strategy, **trainer):
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 3
    vectors = torch.from_numpy((np.eye(3)[labels] + 0.1 * rng.normal(size=(N, 3))).astype(np.float32))
    train = np.arange(N - N_TRAIN, N)
    manifest = SimpleNamespace(classes=("a", "b", "c"))
    none = np.array([], dtype=int)
    task = Task(manifest, train, none, none, given=labels, truth=labels, corruption=None)
    torch.manual_seed(0)
    models = strategy.build(lambda: Classifier(nn.Identity(), 3, 3))
    strategy.start(TrainInfo(torch.from_numpy(labels[train]), torch.arange(N_TRAIN), 3, 3, believe=pytest.fail))
    return Loop(
        strategy,
        models,
        inputs=FeatureInputs(vectors, train, CPU),
        task=task,
        optim={"_target_": "torch.optim.SGD", "lr": 20.0, "warmup": 0.0},
        trainer={"max_epochs": 4, "batch_size": 5, "accumulate": 1, **trainer},
        encoder_lr_scale=1.0,
        seed=0,
        device=CPU,
    )


def quiet():
    return Display(first_epoch=0, n_epochs=1, scans_per_epoch=1, shown={}, enabled=False)


def indices(batch):
    return batch.indices.tolist()


def test_models_share_a_stream_and_every_sample_is_shown_once():
    stream = Stream(np.arange(N_TRAIN), n_views=2)
    strategy = Recorder([{"train": stream}] * 2)
    loop = make_loop(strategy)
    loop.epoch(0, quiet())
    assert len(strategy.shown) == 5
    for first, second in strategy.shown:
        assert first["train"] is second["train"]
        assert first["train"].images.shape[:2] == (2, len(first["train"].labels))
        assert 4 <= len(first["train"].labels) <= 5  # no lonely sample at the end of an epoch
    assert sorted(i for first, _ in strategy.shown for i in indices(first["train"])) == list(range(N_TRAIN))
    np.testing.assert_array_equal(
        strategy.shown[0][0]["train"].labels, loop.task.given[loop.task.train[strategy.shown[0][0]["train"].indices]]
    )
    before = [indices(first["train"]) for first, _ in strategy.shown]
    loop.epoch(1, quiet())
    assert [indices(first["train"]) for first, _ in strategy.shown[5:]] != before


def test_short_streams_start_again_and_empty_ones_give_no_batch():
    plan = [
        {"train": Stream(np.arange(20), 1), "rest": Stream(np.arange(20, N_TRAIN), 1)},
        {"train": Stream(np.arange(10), 1), "rest": Stream(np.array([], dtype=int), 1)},
    ]
    strategy = Recorder(plan)
    make_loop(strategy).epoch(0, quiet())
    assert len(strategy.shown) == 4
    for first, second in strategy.shown:
        assert sorted(indices(first["rest"])) == [20, 21, 22]
        assert "rest" not in second
    assert sorted(i for _, second in strategy.shown for i in indices(second["train"])) == sorted([*range(10)] * 2)


def test_evaluation_follows_the_order_of_the_labels():
    strategy = Recorder([{"train": Stream(np.arange(N_TRAIN), 1)}] * 2)
    loop = make_loop(strategy)
    before = [{k: v.clone() for k, v in model.state_dict().items()} for model in loop.models]
    loop.epoch(0, quiet())
    for weights, evaluation in zip(before, strategy.evaluations[0], strict=True):
        features = loop.inputs.plain(loop.task.train)
        torch.testing.assert_close(evaluation.features, features)
        torch.testing.assert_close(evaluation.logits, F.linear(features, weights["head.weight"], weights["head.bias"]))
        assert evaluation.indices.tolist() == list(range(N_TRAIN))


def test_prediction_is_the_mean_softmax_and_both_models_learn():
    strategy = Recorder([{"train": Stream(np.arange(N_TRAIN), 1)}] * 2)
    loop = make_loop(strategy)
    losses = [loop.epoch(epoch, quiet())["loss"] for epoch in range(4)]
    assert losses[-1] < 0.5 * losses[0]
    rows = np.arange(N)
    expected = torch.stack([model(loop.inputs.plain(rows)).softmax(1) for model in loop.models]).mean(0)
    np.testing.assert_allclose(loop.predict(rows), expected.detach(), rtol=1e-5)
    assert loop.predict(np.array([], dtype=int)).shape == (0, 3)


def test_accumulated_batches_make_the_step_of_one_large_batch():
    results = []
    for trainer in ({"batch_size": 23}, {"batch_size": 23, "accumulate": 1}, {"batch_size": 12, "accumulate": 2}):
        loop = make_loop(Recorder([{"train": Stream(np.arange(22), 1)}] * 2), **trainer)
        for group in loop.optimizer.param_groups:
            group["base_lr"] = 0.1
        loop.epoch(0, quiet())
        results.append(loop.models[0].head.weight.detach().clone())
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])


def test_a_loss_that_is_not_finite_is_said():
    strategy = Recorder([{"train": Stream(np.arange(N_TRAIN), 1)}] * 2)
    loop = make_loop(strategy)
    loop.models[0].head.weight.data.fill_(float("nan"))
    with pytest.raises(UserError, match=r"no longer finite in epoch 1.*optim\.lr"):
        loop.epoch(0, quiet())


def test_weights_spoilt_by_the_last_step_are_said(monkeypatch):
    loop = make_loop(Recorder([{"train": Stream(np.arange(N_TRAIN), 1)}] * 2), batch_size=N_TRAIN)
    weight = loop.models[1].head.weight
    monkeypatch.setattr(loop.optimizer, "step", lambda: weight.data.fill_(float("inf")))
    with pytest.raises(UserError, match=r"the weights are no longer finite in epoch 1"):
        loop.epoch(0, quiet())
