"""Three training steps of every method on fixed views; run as one process or, with the variables of torchrun, as two.

    python ranks.py OUT

writes, for every method, what each rank ended with: the loss, the gradients of every step, the state.
"""

import sys
from pathlib import Path

import pandas as pd
import torch
from fitting import build_fitting

from ssl_robust import settings
from ssl_robust.pretrain.loop import Loop
from ssl_robust.records import Batch
from ssl_robust.training.processor import prepare_processor
from ssl_robust.training.world import launch

SMALL_CROPS = " with small crops"  # what SwAV and DINO also take: views of two sizes
VARIANTS = [*settings.choices("method"), "swav" + SMALL_CROPS, "dino" + SMALL_CROPS]
N, SIDE, STEPS = 16, 32, 3


class FixedViews:
    """The same views of each step, of which a rank gets its part."""

    def __init__(self, method, fabric):
        self.n_views, self.fabric = method.n_views, fabric
        self.sides = [max(24, int(crop.size * SIDE)) for crop in method.crops for _ in range(crop.n)]

    def __call__(self, images, generator):
        drawn = torch.Generator().manual_seed(int(images[0, 0, 0, 0]))
        whole = [torch.rand(N, 3, side, side, generator=drawn) for side in self.sides]
        part = N // self.fabric.world_size
        return [view[part * self.fabric.global_rank :][:part] for view in whole]


class NumberedBatches:
    """Batches whose pixels say which step it is."""

    batch_size = N

    def __len__(self):
        return STEPS

    def set_epoch(self, epoch, first=0):
        pass

    def __iter__(self):
        for step in range(STEPS):
            yield Batch(torch.full((1, 3, 1, 1), step), torch.zeros(1), torch.zeros(1))


def make_method(name):
    # Smooth, without ReLU and max pooling: where two values are nearly equal there, rounding decides about gradients.
    smooth = {"act_layer": "silu", "replace_stem_pool": True}
    values = settings.defaults("method", name.removesuffix(SMALL_CROPS))
    values |= {key: 64 for key in values if key.endswith("_dim")}  # small heads: the arithmetic is the same
    if name.endswith(SMALL_CROPS):
        values["crops"] = [{"n": 2, "size": 1.0}, {"n": 3, "size": 0.75, "scale": [0.1, 0.3]}]
    return build_fitting(values, "resnet10t", side=SIDE, encoder_args=smooth)


def gradients_of_every_step(method):
    """A list that fills while the method trains."""
    steps, original = [], method.after_backward

    def recording(progress):
        steps.append({name: each.grad.clone() for name, each in method.named_parameters() if each.grad is not None})
        original(progress)

    method.after_backward = recording
    return steps


def train(name, out, fabric, accumulate=1):
    """What a rank ends with."""
    method = make_method(name)
    gradients = gradients_of_every_step(method)
    loop = Loop(
        method,
        views=FixedViews(method, fabric),
        batches=NumberedBatches(),
        monitor=lambda encoder, fabric: {},
        optim={**settings.defaults("optim", "sgd"), "lr": 0.01, "warmup": 0.0},
        trainer={"max_epochs": 1, "accumulate": accumulate, "progress": False, "checkpoint_minutes": 10},
        monitor_every=1,
        seed=0,
        fabric=fabric,
        precision=None,
    )
    out.mkdir(exist_ok=True)
    loop.fit(out, resume=False)
    fabric.barrier()
    loss = pd.read_csv(out / "metrics.csv")["loss"].iloc[-1]
    return {"loss": float(loss), "gradients": gradients, "state": method.state_dict()}


def main(out):
    prepare_processor()
    fabric = launch(device="cpu", devices="auto")
    for name in VARIANTS:
        torch.save(train(name, out / f"{name} run", fabric), out / f"{name} {fabric.global_rank}.pt")
    torch.save(
        train("moco", out / "accumulated run", fabric, accumulate=2), out / f"accumulated {fabric.global_rank}.pt"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
