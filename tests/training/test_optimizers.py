import math

import pytest
from omegaconf import OmegaConf
from torch import nn

from ssl_robust.records import Progress
from ssl_robust.run import UserError
from ssl_robust.settings import choices, compose
from ssl_robust.training.optimizers import make_optimizer, mixed_seed, rate_factor


@pytest.mark.parametrize("name", choices("optim"))
def test_rates_scale_with_the_batch_and_the_group(name):
    settings = OmegaConf.to_container(compose("pretrain", ["data=phantoms", "method=simclr", f"optim={name}"]).optim)
    layer = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = make_optimizer(
        [{"params": list(layer[0].parameters())}, {"params": list(layer[1].parameters()), "lr_scale": 0.1}],
        settings,
        scans_per_step=512,
    )
    by_shape = {group["params"][0].shape: group for group in optimizer.param_groups}
    weight, bias, norm = optimizer.param_groups
    assert len(by_shape) >= 2
    assert weight["lr"] == bias["lr"] == 2 * settings["lr"]
    assert norm["base_lr"] == pytest.approx(0.2 * settings["lr"])
    assert weight["weight_decay"] == settings["weight_decay"]
    assert bias["weight_decay"] == norm["weight_decay"] == 0


def test_rate_rises_to_one_and_falls_to_zero():
    factors = [rate_factor(Progress(step, 100, 0, 1), warmup=0.1) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1
    assert factors[55] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert factors[100] == pytest.approx(0)
    assert rate_factor(Progress(0, 1, 0, 1), warmup=0.0) == 1


def test_mixed_seeds_differ_by_every_part_of_the_key():
    assert mixed_seed(1, 2, 3) == mixed_seed(1, 2, 3)
    assert len({mixed_seed(*key) for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]}) == 4
    assert len({mixed_seed(3), mixed_seed(3, 0), mixed_seed(3, 1), mixed_seed(3, 1, 0)}) == 4
    assert 0 <= mixed_seed(5) < 2**63


def test_an_optimiser_that_is_none_is_never_called():
    """A sweep's second value is looked at here first."""
    for target in ("os.system", "subprocess.Popen", "ssl_robust.training.optimizers.math.log", "torch.optim.Optimizer"):
        with pytest.raises(UserError, match=f"optim._target_={target} is nothing that ssl-robust calls there"):
            make_optimizer([], {"_target_": target, "lr": 1.0, "warmup": 0.0}, scans_per_step=1)
