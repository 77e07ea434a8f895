"""The first suspects of a finished audit as one picture, with rank, label as given and p_mislabeled beneath each.

    python benchmarks/suspects_sheet.py RUN --out suspects.png

RUN is an audit of scans, not of vectors alone. `--rows` times `--columns` scans are shown, no more than it kept
(n_suspects).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ssl_robust.files import replacing
from ssl_robust.run import read_json

_GAP, _TEXT = 8, 13  # px
_PAPER, _INK = (255, 255, 255), (40, 40, 40)


def sheet(suspects: list[dict[str, Any]], images: np.ndarray, *, columns: int, zoom: int) -> Image.Image:
    """Suspects and the (n, s, s, C) pictures that their `thumbnail` counts -> a sheet, row by row."""
    side = zoom * images.shape[1]
    width, height = side + _GAP, side + 2 * _TEXT + 2 * _GAP
    rows = -(-len(suspects) // columns)
    picture = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_TEXT)
    for place, each in enumerate(suspects):
        left, top = _GAP + place % columns * width, _GAP + place // columns * height
        scan = images[each["thumbnail"]]
        shown = Image.fromarray(scan[..., 0] if scan.shape[2] == 1 else scan)
        picture.paste(shown.resize((side, side), Image.Resampling.NEAREST), (left, top))
        p = "not judged" if each["p_mislabeled"] is None else f"p {each['p_mislabeled']:.2f}"
        pen.multiline_text((left, top + side + 2), f"{each['rank']}  {p}\n{each['label']}", _INK, font, spacing=2)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--zoom", type=int, default=2, help="pixels of the picture for one of a scan")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = read_json(options.run / "suspects.json")
    if not found["has_thumbnails"]:
        raise SystemExit(f"{options.run} has no pictures; audit scans, with thumbnails=true and n_suspects above zero")
    with np.load(options.run / "thumbnails.npz", allow_pickle=False) as file:
        images = file["images"]
    suspects = found["suspects"][: options.rows * options.columns]
    drawn = sheet(suspects, images, columns=options.columns, zoom=options.zoom)
    with replacing(options.out) as temporary:
        drawn.save(temporary, format="png", optimize=True)
    print(f"{options.out}: {len(suspects)} suspects, {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
