"""Scans per second of whole pretraining runs, loading and views included: this package against lightly's own recipe.

    python benchmarks/pretrain_throughput.py                      # SimCLR and DINO, 64-px files, resnet18
    python benchmarks/pretrain_throughput.py --files large --encoder regnetx_002    # 1,024-px PNG, 64-px views
    python benchmarks/pretrain_throughput.py --flat 500 --encoder regnetx_002       # does the speed last? ours alone

lightly's side is what its documentation shows: `LightlyDataset`, its transform of the method, a `DataLoader` with the
best of 0, 1 and 2 workers, Lightning's Trainer at its default precision. Ours is `ssl-robust pretrain` with the same
number and sizes of views. Both read the same files, train the same timm encoder and take the same batches. Rounds
alternate; each side is a process of its own, and its first steps are not counted. The encoder's share is that part of
our steps' time which its forward and backward passes take; the bound is the ratio that would be reached if a step were
nothing else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BATCH = 128
WARM_UP = 2  # steps that are not counted
# Number of views, share of the side, share of the area (None: our recipe's): DINO's are those of lightly's transform.
CROPS = {"simclr": [(2, 1.0, None)], "dino": [(2, 1.0, (0.4, 1.0)), (6, 0.5, (0.05, 0.4))]}


def write_files(folder: Path, kind: str, n: int) -> None:
    """Phantoms as PNG: `small` = 64 px in colour; `large` = 1,024 px in grey with grain, as radiographs have."""
    import numpy as np
    from PIL import Image

    from ssl_robust.data.phantoms import make_phantoms

    made = make_phantoms(n_patients=n, scans_per_patient=1, size=64, channels=3 if kind == "small" else 1,
                         difficulty=0.4, imbalance=1.0, seed=0)  # fmt: skip
    rng = np.random.default_rng(0)
    (folder / "scans").mkdir()
    for row, pixels in enumerate(made.images):
        picture = Image.fromarray(pixels)
        if kind == "large":
            wide = np.asarray(picture.resize((1024, 1024), Image.Resampling.BICUBIC), np.int16)
            picture = Image.fromarray(np.clip(wide + rng.normal(0, 4, wide.shape), 0, 255).astype(np.uint8))
        picture.save(folder / "scans" / f"{row:05d}.png")


def ours(folder: Path, method: str, encoder: str, steps: int) -> dict[str, Any]:
    """`ssl-robust pretrain` on the files, with a clock around the encoder."""
    import pandas as pd

    from ssl_robust.pretrain.stage import pretrain
    from ssl_robust.settings import compose

    spent = _clocks()
    n_epochs = max(2, round(steps * BATCH / len(list((folder / "scans").iterdir()))) + 1)
    crops = ",".join(
        f"{{n:{n},size:{size}}}" if scale is None else f"{{n:{n},size:{size},scale:[{scale[0]},{scale[1]}]}}"
        for n, size, scale in CROPS[method]
    )
    overrides = [
        "data=folder", f"data.path={folder}/scans", f"data.cache_dir={folder}/cache", "data.image_size=64",
        "data.fractions={val:0.0,test:0.0}", f"method={method}", f"method.crops=[{crops}]", f"encoder={encoder}",
        f"trainer.batch_size={BATCH}", f"trainer.max_epochs={n_epochs}", "trainer.progress=false", "monitor.every=1000",
        f"out={folder}/run", "overwrite=true",
    ]  # fmt: skip
    out = pretrain(compose("pretrain", overrides))
    rows = pd.read_csv(out / "metrics.csv").dropna(subset=["seconds"])
    scans = rows["step"].diff().iloc[-1] * BATCH
    rates = (scans / rows["seconds"]).tolist()[1:]
    share = spent["seconds"] / rows["seconds"].sum()
    return {"scans_per_second": statistics.median(rates), "rates": rates, "encoder_share": share}


def _clocks() -> dict[str, float]:
    """Seconds in the encoder's forward and backward passes, counted while it trains.

    A backward pass counts from the moment at which the first gradient reaches an output of the encoder.
    """
    import torch
    from lightning.fabric import Fabric

    from ssl_robust.encoders.encoder import Encoder

    spent = {"seconds": 0.0, "reached": 0.0}
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    forward, backward = Encoder.forward, Fabric.backward

    def now() -> float:
        wait()
        return time.perf_counter()

    def reached(_: torch.Tensor) -> None:
        spent["reached"] = spent["reached"] or now()

    def timed_forward(self: Encoder, images: torch.Tensor) -> torch.Tensor:
        started = now()
        features = forward(self, images)
        if self.training:  # else it is the monitor's look
            spent["seconds"] += now() - started
        if features.requires_grad:
            features.register_hook(reached)
        return features

    def timed_backward(*args: Any, **kwargs: Any) -> None:
        spent["reached"] = 0.0
        backward(*args, **kwargs)
        spent["seconds"] += now() - spent["reached"]

    Encoder.forward, Fabric.backward = timed_forward, timed_backward  # type: ignore[method-assign]
    return spent


def lightly(folder: Path, method: str, encoder: str, steps: int) -> dict[str, Any]:
    """lightly's documented recipe on the files; the best number of workers is looked for once."""
    found = folder / f"workers-{method}"
    if not found.exists():
        rates = {n: _lightly_rate(folder, method, encoder, 4, n) for n in (0, 1, 2)}
        found.write_text(str(max(rates, key=rates.__getitem__)))
    best = int(found.read_text())
    return {"scans_per_second": _lightly_rate(folder, method, encoder, steps, best), "workers": best}


def _lightly_rate(folder: Path, method: str, encoder: str, steps: int, n_workers: int) -> float:
    import lightning
    import torch
    from lightly.data import LightlyDataset
    from lightly.transforms import DINOTransform, SimCLRTransform

    times: list[float] = []

    class Clock(lightning.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            times.append(time.perf_counter())

    transform = SimCLRTransform(64) if method == "simclr" else DINOTransform(64, local_crop_size=32)
    dataset = LightlyDataset(str(folder / "scans"), transform=transform)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=BATCH, shuffle=True, drop_last=True, num_workers=n_workers, persistent_workers=n_workers > 0
    )
    trainer = lightning.Trainer(
        max_steps=steps + WARM_UP, max_epochs=-1, devices=1, accelerator="auto", callbacks=[Clock()], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(_lightly_module(method, encoder), loader)
    return (len(times) - WARM_UP) * BATCH / (times[-1] - times[WARM_UP - 1])


def _lightly_module(method: str, encoder: str) -> Any:
    import copy

    import lightning
    import timm
    import torch
    from lightly.loss import DINOLoss, NTXentLoss
    from lightly.models.modules import DINOProjectionHead, SimCLRProjectionHead
    from lightly.models.utils import deactivate_requires_grad, update_momentum

    class SimCLR(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = timm.create_model(encoder, num_classes=0)
            width = self.backbone.num_features
            self.projection_head = SimCLRProjectionHead(width, width, 128)
            self.criterion = NTXentLoss()

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            first, second = (self.projection_head(self.backbone(view)) for view in batch[0])
            return self.criterion(first, second)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.06)

    class DINO(SimCLR):
        def __init__(self) -> None:
            super().__init__()
            width = self.backbone.num_features
            self.teacher_backbone = copy.deepcopy(self.backbone)
            self.projection_head = DINOProjectionHead(width, 512, 64, 2048, freeze_last_layer=1)
            self.teacher_head = DINOProjectionHead(width, 512, 64, 2048)
            deactivate_requires_grad(self.teacher_backbone)
            deactivate_requires_grad(self.teacher_head)
            self.criterion = DINOLoss(output_dim=2048)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            update_momentum(self.backbone, self.teacher_backbone, m=0.99)
            update_momentum(self.projection_head, self.teacher_head, m=0.99)
            views = batch[0]
            targets = [self.teacher_head(self.teacher_backbone(view)) for view in views[:2]]
            return self.criterion(targets, [self.projection_head(self.backbone(view)) for view in views])

    return {"simclr": SimCLR, "dino": DINO}[method]()


SIDES = {"ours": ours, "lightly": lightly}


def measure(side: str, folder: Path, method: str, options: argparse.Namespace) -> dict[str, Any]:
    """One side in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), "--methods", method,
               "--encoder", options.encoder, "--steps", str(options.flat or options.steps)]  # fmt: skip
    command += ["--as-torch-does"] if options.as_torch_does else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(method: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    rounds = [{side: measure(side, folder, method, options) for side in SIDES}
              for _ in range(options.rounds)]  # fmt: skip
    rate = {side: statistics.median(each[side]["scans_per_second"] for each in rounds) for side in SIDES}
    ratios = [each["ours"]["scans_per_second"] / each["lightly"]["scans_per_second"] for each in rounds]
    share = statistics.median(each["ours"]["encoder_share"] for each in rounds)
    bound = statistics.median(ratios) / share
    print(f"{method:8} lightly {rate['lightly']:7.1f} scans/s ({rounds[0]['lightly']['workers']} workers)   "
          f"ours {rate['ours']:7.1f}   ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
          f"bound {bound:.2f}; {share:.0%} of our time is the encoder's", flush=True)  # fmt: skip
    return {"method": method, "rates": rate, "ratios": ratios, "bound": bound, "encoder_share": share, "rounds": rounds}


def main() -> None:
    """Print a line per method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=CROPS, default=list(CROPS))
    parser.add_argument("--files", choices=["small", "large"], default="small")
    parser.add_argument("--n", type=int, help="files; by default 1,024 small or 256 large ones")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--steps", type=int, default=8, help="counted steps of each side and round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--flat", type=int, metavar="STEPS", help="ours alone: how the speed changes in so many steps")
    parser.add_argument("--as-torch-does", action="store_true", help="with --flat: without our settings of the process")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        if options.as_torch_does:
            from ssl_robust.pretrain import stage

            stage.prepare_processor = lambda: None
        result = SIDES[options.side](options.folder, options.methods[0], options.encoder, options.steps)
        print("\n" + json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, options.files, options.n or {"small": 1024, "large": 256}[options.files])
        if options.flat:
            rates = measure("ours", folder, options.methods[0], options)["rates"]
            tenth = max(1, len(rates) // 10)
            first, last = statistics.median(rates[:tenth]), statistics.median(rates[-tenth:])
            print(f"{options.methods[0]}: first tenth {first:.1f} scans/s, last tenth {last:.1f}; "
                  f"slowest epoch {min(rates):.1f}, fastest {max(rates):.1f}")  # fmt: skip
            results: Any = rates
        else:
            results = [compare(method, folder, options) for method in options.methods]
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
