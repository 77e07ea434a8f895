"""How many SimCLR views per second one core makes: this package's batches against lightly and torchvision.

    OMP_NUM_THREADS=1 python benchmarks/views.py [--side 64] [--seconds 5] [--json views.json]

All make two views per scan with the recipe for natural images (crops, flips, jitter, grayscale, blur), as the
libraries do by default; the last two rows add free rotation, then varied stains and a deformation. Scans are uint8 in
memory; decoding is not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable

import torch
from lightly.transforms import SimCLRTransform
from PIL import Image
from torchvision.transforms import v2

from ssl_robust.data.views import Views
from ssl_robust.records import Crop
from ssl_robust.settings import defaults

N_SCANS = 256


def views_per_second(make: Callable[[], int], seconds: float) -> float:
    """Calls `make`, which returns how many views it made, for some seconds; the best of three rounds."""
    make()
    rates = []
    for _ in range(3):
        start, made = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 3:
            made += make()
        rates.append(made / (time.perf_counter() - start))
    return max(rates)


def contenders(side: int) -> dict[str, Callable[[], int]]:
    images = (torch.rand(N_SCANS, side, side, 3) * 255).byte().permute(0, 3, 1, 2)  # channels_last, as a ScanSet gives
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images[:32]]
    crops = [Crop(n=2, size=1.0, scale=(0.08, 1.0))]
    generator = torch.Generator().manual_seed(0)

    def ours(recipe: str) -> Callable[[], int]:
        views = Views(crops=crops, image_size=side, channels=3, **defaults("views", recipe))
        return lambda: len(views(images, generator)) * N_SCANS

    lightly = SimCLRTransform(input_size=side, normalize=None)
    torchvision = v2.Compose(
        [
            v2.RandomResizedCrop(side, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(max(3, side // 10 // 2 * 2 + 1), (0.1, 2.0))], 0.5),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    return {
        "lightly SimCLRTransform (PIL, scan by scan)": lambda: sum(len(lightly(p)) for p in pictures),
        "torchvision v2 (tensors, scan by scan)": lambda: (
            2 * len([(torchvision(x), torchvision(x)) for x in images[:32]])
        ),
        "ssl_robust views=photo (a batch at once)": ours("photo"),
        "ssl_robust views=scan (the same, any rotation)": ours("scan"),
        "ssl_robust views=histology (also stains, elastic)": ours("histology"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=64, help="side of the views in pixels")
    parser.add_argument("--seconds", type=float, default=5, help="time for each contender")
    parser.add_argument("--json", help="file to write the numbers to")
    options = parser.parse_args()
    rates = {name: round(views_per_second(make, options.seconds)) for name, make in contenders(options.side).items()}
    slowest = min(rates.values())
    print(f"{options.side} px, {torch.get_num_threads()} thread(s), {platform.processor() or platform.machine()}")
    for name, rate in rates.items():
        print(f"{name:50s} {rate:7,d} views/s  {rate / slowest:5.1f}x")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(
                {"side": options.side, "threads": torch.get_num_threads(), "views_per_second": rates}, file, indent=1
            )


if __name__ == "__main__":
    main()
