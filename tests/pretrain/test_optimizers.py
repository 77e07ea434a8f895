import pytest
import torch
from torch import nn

from ssl_robust.pretrain.method import Method
from ssl_robust.pretrain.optimizers import build_optimizer, set_rates
from ssl_robust.records import Crop, Progress
from ssl_robust.settings import defaults

LAST = Progress(100, 100, 10, 10)


class Plain(Method):
    def __init__(self):
        super().__init__(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), crops=[Crop(2, 1.0, (0.3, 1.0))])

    def loss(self, views, progress):
        return {"loss": torch.zeros(())}


def test_biases_and_normalisation_are_not_decayed():
    method = Plain()
    optimizer = build_optimizer(method, defaults("optim", "adamw"), scans_per_step=256)
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] > 0 for p in group["params"]}
    assert decayed == {id(method.encoder[0].weight)}


def test_frozen_parameters_are_left_out():
    method = Plain()
    method.encoder[1].requires_grad_(False)
    optimizer = build_optimizer(method, defaults("optim", "adamw"), scans_per_step=256)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


def test_the_rate_follows_the_batch_and_the_progress():
    method = Plain()
    settings = defaults("optim", "sgd")
    optimizer = build_optimizer(method, settings, scans_per_step=64)
    height = set_rates(optimizer, method, Progress(9, 100, 0, 10), warmup=0.1)
    assert height == pytest.approx(settings["lr"] / 4)
    assert set_rates(optimizer, method, LAST, warmup=0.1) == pytest.approx(0)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0)
