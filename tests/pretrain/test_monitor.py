import numpy as np
import pandas as pd
import pytest
import torch
from lightning.fabric import Fabric
from torch import nn

from ssl_robust.data.scanset import open_scans
from ssl_robust.pretrain.monitor import is_due, make_monitor
from ssl_robust.settings import compose, defaults


class Features(nn.Module):
    """An "encoder" that is a plain function of the scans."""

    dim = 4
    autocast = None

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        assert not self.training
        return self.function(images.float().flatten(1))


SETTINGS = {
    "every": 1,
    "select": "last",
    "keep": "chosen",
    "reference": 30,
    "queries": 10,
    "k": 5,
    "temperature": 0.07,
    "lidar": {"scans": 8, "views": 2},
}
RECIPE = defaults("views", "xray")
CPU = Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def scans(scans_file):
    return open_scans(compose("pretrain", ["data=npz", f"data.path='{scans_file}'", "method=simclr"]).data)


def roughness(pixels):
    """Two dimensions that tell the classes apart: neighbours on a line differ or do not."""
    rough = pixels.diff(dim=1).abs().mean(dim=1)
    return torch.stack([rough - 55, torch.full_like(rough, 3.0)], dim=1)


def test_features_that_tell_the_classes_apart_score_high(scans):
    monitor = make_monitor(scans, SETTINGS, RECIPE, batch_size=16, seed=0)
    good = monitor(Features(roughness), CPU)
    poor = monitor(Features(lambda pixels: pixels[:, ::512] + 1), CPU)  # two pixels far apart
    assert good["knn_balanced_accuracy"] == 1.0
    assert poor["knn_balanced_accuracy"] < 0.9
    assert 1 <= good["effective_rank"] <= 2


def test_collapsed_features_are_told(scans):
    monitor = make_monitor(scans, SETTINGS, RECIPE, batch_size=16, seed=0)
    collapsed = monitor(Features(lambda pixels: torch.ones(len(pixels), 4)), CPU)
    healthy = monitor(Features(lambda pixels: pixels[:, :4] - pixels.mean()), CPU)
    assert collapsed["collapsed"] == 1
    assert healthy["collapsed"] == 0
    assert collapsed["feature_spread"] < healthy["feature_spread"]


def test_a_mean_that_all_scans_share_is_no_collapse_and_a_single_line_is(scans):
    monitor = make_monitor(scans, SETTINGS, RECIPE, batch_size=16, seed=0)
    apart = monitor(Features(lambda pixels: pixels[:, :400:100] + 5000), CPU)
    line = monitor(Features(lambda pixels: pixels[:, :1] * torch.arange(1.0, 5) + torch.tensor([400.0, 0, 0, 0])), CPU)
    assert apart["effective_rank"] < 1.5
    assert (apart["collapsed"], line["collapsed"]) == (0, 1)


def test_too_few_scans_do_not_tell_a_collapse(scans):
    monitor = make_monitor(scans, {**SETTINGS, "queries": 2}, RECIPE, batch_size=16, seed=0)
    assert monitor(Features(lambda pixels: pixels[:, :4]), CPU)["collapsed"] == 0


def test_every_look_sees_the_same_views_of_the_same_scans(scans):
    seen = []

    def function(pixels):
        seen.append(pixels.clone())
        return pixels[:, :4]

    monitor = make_monitor(scans, {**SETTINGS, "lidar": {"scans": 6, "views": 3}}, RECIPE, batch_size=16, seed=0)
    first, second = monitor(Features(function), CPU), monitor(Features(function), CPU)
    assert first == pytest.approx(second, nan_ok=True)
    half = len(seen) // 2
    assert all(torch.equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))
    views = seen[half - 3 : half]
    assert [len(each) for each in views] == [6, 6, 6]
    assert not torch.equal(views[0], views[1])
    assert first["lidar"] > 1


def test_training_goes_on_in_the_mode_it_was_in(scans):
    monitor = make_monitor(scans, SETTINGS, RECIPE, batch_size=16, seed=0)
    encoder = Features(lambda pixels: pixels[:, :4])
    encoder.train()
    monitor(encoder, CPU)
    assert encoder.training


def test_the_choice_of_scans_is_fixed_and_within_its_splits(scans):
    first, second = (make_monitor(scans, SETTINGS, RECIPE, batch_size=16, seed=0) for _ in range(2))
    assert np.array_equal(first.reference, second.reference)
    assert len(first.reference) == 30
    assert len(first.queries) == 10
    assert set(first.reference) <= set(scans.manifest.rows("train"))
    assert set(first.queries) <= set(scans.manifest.rows("val"))


def test_without_labels_there_is_rank_and_no_vote(scans):
    scans.manifest.table["label"] = pd.Series(pd.NA, index=scans.manifest.table.index, dtype="string")
    values = make_monitor(scans, SETTINGS, RECIPE, batch_size=16, seed=0)(Features(lambda pixels: pixels[:, :4]), CPU)
    assert "knn_balanced_accuracy" not in values
    assert values["effective_rank"] > 1


def test_without_validation_scans_training_scans_show_the_rank(scans):
    scans.manifest.table.loc[scans.manifest.rows("val"), "split"] = "test"
    monitor = make_monitor(scans, SETTINGS, RECIPE, batch_size=16, seed=0)
    assert set(monitor.queries) <= set(scans.manifest.rows("train"))
    assert "knn_balanced_accuracy" not in monitor(Features(lambda pixels: pixels[:, :4]), CPU)


def test_looks_are_spread_over_the_run():
    assert [epoch for epoch in range(8) if is_due(epoch, 7, 3)] == [0, 3, 6, 7]
    assert all(is_due(epoch, 20, "auto") for epoch in range(21))
    assert sum(is_due(epoch, 1000, "auto") for epoch in range(1001)) == 26


def test_the_packaged_settings_are_complete():
    assert set(SETTINGS) == set(compose("pretrain", ["data=phantoms", "method=simclr"]).monitor)
    assert defaults("trainer", "default")["max_epochs"] > 0
