"""With one process the stand-in is the batch normalisation that it replaces; tests/pretrain/test_ranks.py has two."""

import copy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from ssl_robust.training.batch_norm import AllReducedBatchNorm, synchronize


@pytest.fixture(autouse=True)
def group(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


CASES = {
    "rows": (nn.BatchNorm1d(4), (6, 4)),
    "pictures": (nn.BatchNorm2d(4), (3, 4, 5, 5)),
    "no weights": (nn.BatchNorm1d(4, affine=False), (6, 4)),
    "mean of all batches": (nn.BatchNorm2d(4, momentum=None), (3, 4, 5, 5)),
    "with an activation": (BatchNormAct2d(4), (3, 4, 5, 5)),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_same_layer(case):
    torch.manual_seed(0)
    original, shape = copy.deepcopy(CASES[case][0]), CASES[case][1]
    stand_in = synchronize(copy.deepcopy(original), torch.device("cpu"))
    assert isinstance(stand_in, AllReducedBatchNorm)
    assert stand_in.state_dict().keys() == original.state_dict().keys()
    for _ in range(2):
        inputs = [torch.randn(shape, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2)]
        outputs = [layer(values) for layer, values in zip((original, stand_in), inputs, strict=True)]
        torch.testing.assert_close(*outputs)
        for output in outputs:
            output.pow(3).sum().backward()
        torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(original.state_dict(), stand_in.state_dict())
    torch.testing.assert_close(original.eval()(inputs[0]), stand_in.eval()(inputs[0]))


def test_every_layer_of_a_network_is_replaced_and_bf16_stays_bf16():
    network = synchronize(
        nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4), nn.ReLU())), torch.device("cpu")
    )
    assert isinstance(network[1][0], AllReducedBatchNorm)
    assert network[1][0](torch.randn(5, 4).bfloat16()).dtype == torch.bfloat16
