import pytest
import torch
from lightning.fabric import Fabric

from ssl_robust.data.batches import Batches
from ssl_robust.data.scanset import open_scans
from ssl_robust.data.views import Views
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.pretrain.loop import Loop
from ssl_robust.pretrain.method import build_method
from ssl_robust.pretrain.monitor import make_monitor
from ssl_robust.records import Crop
from ssl_robust.settings import compose, defaults


@pytest.fixture
def make_loop(overrides):
    def make(*, crops=None, precision=None, trainer=(), optim="adamw"):
        settings = compose("pretrain", overrides)
        scans = open_scans(settings.data)
        torch.manual_seed(0)
        encoder = create_encoder("resnet10t", in_chans=1, input_size=32, mean=[0.5], std=[0.3])
        method = build_method(defaults("method", "simclr"), encoder)
        views = Views(crops=crops or method.crops, image_size=32, channels=1, **defaults("views", "scan"))
        rows = scans.manifest.rows("train")
        return Loop(
            method,
            views=views,
            batches=Batches(scans, rows, batch_size=8, seed=0, shuffle=True, drop_last=True),
            monitor=make_monitor(scans, settings.monitor, settings.views, batch_size=8, seed=0),
            optim=defaults("optim", optim),
            trainer={
                **defaults("trainer", "default"),
                "max_epochs": 1,
                "progress": False,
                "checkpoint_minutes": 10,
                **dict(trainer),
            },
            monitor_every=1,
            seed=0,
            fabric=Fabric(accelerator="cpu", devices=1),
            precision=precision,
        )

    return make


def test_the_wrong_number_of_views_is_refused(make_loop):
    with pytest.raises(ValueError, match="the method expects 2 views of each scan, 3 are made"):
        make_loop(crops=[Crop(3, 1.0, (0.3, 1.0))])


@pytest.mark.parametrize("optim", ["adamw", "sgd", "lars"])
def test_every_optimiser_changes_the_encoder(make_loop, tmp_path, optim):
    loop = make_loop(optim=optim)
    before = [parameter.clone() for parameter in loop.method.encoder.parameters()]
    loop.fit(tmp_path, resume=False)
    changed = [not torch.equal(a, b) for a, b in zip(before, loop.method.encoder.parameters(), strict=True)]
    assert sum(changed) > 0.8 * len(changed)  # a very small step may leave a value where it was


def test_the_precision_is_that_of_the_encoder_alone(make_loop, tmp_path):
    loop = make_loop(precision=torch.bfloat16)
    assert loop.method.encoder.autocast is torch.bfloat16
    loop.fit(tmp_path, resume=False)
    assert all(value.dtype == torch.float32 for value in loop.method.parameters())


def test_accumulated_batches_count_as_one_step(make_loop):
    assert make_loop().steps_per_epoch == 5
    assert make_loop(trainer={"accumulate": 2}).steps_per_epoch == 3
    rates = [loop.optimizer.param_groups[0]["base_lr"] for loop in (make_loop(), make_loop(trainer={"accumulate": 2}))]
    assert rates[1] == pytest.approx(2 * rates[0])
