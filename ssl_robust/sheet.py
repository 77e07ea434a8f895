"""`ssl-robust views`: a sheet of random views, for the eye that knows what a diagnosis needs.

It writes one picture and no run directory: nothing starts from it, and it takes seconds to draw again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from omegaconf import OmegaConf
from PIL import Image, ImageDraw, ImageFont

from ssl_robust.data.pixels import to_unit
from ssl_robust.data.scanset import ScanSet, open_scans
from ssl_robust.data.views import Views
from ssl_robust.records import Crop
from ssl_robust.run import UserError, replacing
from ssl_robust.settings import choices, defaults

if TYPE_CHECKING:
    from omegaconf import DictConfig

_CELL = 128  # px; a whole view is enlarged to about this side, or shrunk to twice this
_GAP, _MARGIN, _TEXT = 6, 16, 15  # px
_PAPER, _INK = (255, 255, 255), (40, 40, 40)
_OTHER_PICTURES = (".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".bmp", ".webp", ".pdf", ".svg")


def views(config: DictConfig) -> Path:
    """Draw some scans, each beside random views of it.

    Args:
        config: composed from `configs/views.yaml`.

    Returns:
        The picture.

    Raises:
        UserError: there is a picture already, or an option does not fit.
    """
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    out = _free_place(settings)
    scans = open_scans(settings["data"])
    scans.say_found()
    rows = scans.manifest.rows(settings["data"]["split"])
    if settings["n_scans"] < 1 or not len(rows):
        raise UserError(
            f"n_scans={settings['n_scans']} of the {len(rows)} scans of data.split={settings['data']['split']} leaves "
            "nothing to draw; give n_scans= of at least 1 and a split that has scans"
        )
    chosen = np.random.default_rng(settings["seed"]).permutation(rows)[: settings["n_scans"]]
    images = scans.batch(np.sort(chosen)).images
    made = _maker(settings, scans)(images, torch.Generator().manual_seed(settings["seed"]))
    title = f"{recipe_name(settings['views'])}, seed={settings['seed']}"
    print("\n".join([title, *_lines(settings["views"])]))
    try:
        with replacing(out) as temporary:
            sheet([to_unit(images), *made], title).save(temporary)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror or error}); choose another out=") from None
    return out


def recipe_name(values: Mapping[str, Any]) -> str:
    """The packaged recipe that is nearest to these values, and what differs: `views=xray views.rotation=5`.

    Recipes with the same values are all named.

    Args:
        values: the `views` node of a configuration.
    """
    changes = {name: _changes(values, defaults("views", name)) for name in choices("views")}
    fewest = min(changes.values(), key=len)
    nearest = [name for name, changed in changes.items() if changed == fewest]
    return " ".join([f"views={' or '.join(nearest)}", *fewest])


def sheet(columns: Sequence[torch.Tensor], title: str) -> Image.Image:
    """Scans and their views -> one picture, a row for each scan.

    Every pixel of a scan is a square of the same size in all columns, so that a small view looks small.

    Args:
        columns: each (B, C, side, side) float in [0, 1], C = 1 or 3; the scans themselves first.
        title: written above, on as many lines as it takes.
    """
    largest = columns[0].shape[-1]
    zoom = max(1, round(_CELL / largest)) if largest <= 2 * _CELL else 2 * _CELL / largest
    cell = round(zoom * largest) + _GAP
    font = ImageFont.load_default(_TEXT)
    width = 2 * _MARGIN + len(columns) * cell
    lines = _wrapped(title, font, width - 2 * _MARGIN)
    top = _MARGIN + (len(lines) + 1) * (_TEXT + 5) + _GAP
    picture = Image.new("RGB", (width, top + len(columns[0]) * cell + _MARGIN), _PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((_MARGIN, _MARGIN), "\n".join(lines), _INK, font, spacing=5)
    for number, column in enumerate(columns):
        left, side = _MARGIN + number * cell, column.shape[-1]
        name = "scan" if number == 0 else f"view {number}"
        size = f", {side} px" if number == 0 or side != largest else ""
        pen.text((left, top - _TEXT - 9), name + size, _INK, font)
        for row, view in enumerate(column):
            picture.paste(_enlarged(view, round(zoom * side)), (left, top + row * cell))
    return picture


def _maker(settings: Mapping[str, Any], scans: ScanSet) -> Views:
    try:
        crops = [Crop.read(crop) for crop in settings["crops"]]
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"crops={settings['crops']} does not fit; write each as {{n:2,size:1.0}}, perhaps with scale:[0.1,0.3]"
        ) from None
    try:
        return Views(crops=crops, image_size=scans.image_size, channels=scans.channels, **settings["views"])
    except ValueError as error:
        raise UserError(f"an option of views or crops does not fit: {error}") from error


def _lines(recipe: Mapping[str, Any]) -> list[str]:
    """A recipe as its YAML has it, a line for each transform."""
    texts = [yaml.safe_dump({key: value}, default_flow_style=True, sort_keys=False, width=1000)
             for key, value in recipe.items()]  # fmt: skip
    return ["  " + text.strip()[1:-1] for text in texts]


def _enlarged(view: torch.Tensor, side: int) -> Image.Image:
    pixels = (view * 255).round().byte().permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    # Enlarged pixels stay pixels: nobody shall take an interpolation for detail.
    return picture.resize((side, side), Image.Resampling.NEAREST if side >= len(pixels) else Image.Resampling.BOX)


def _changes(values: Mapping[str, Any], recipe: Mapping[str, Any], prefix: str = "views.") -> list[str]:
    """What makes `values` out of a recipe, as options."""
    changed = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            changed += _changes(value, recipe[key], f"{prefix}{key}.")
        elif value != recipe[key]:
            changed.append(f"{prefix}{key}={value}")
    return changed


def _free_place(settings: Mapping[str, Any]) -> Path:
    """Where the picture goes; nothing is there, or it may be replaced."""
    if settings["resume"]:
        raise UserError("a sheet of views is drawn at once, there is nothing to resume; take resume= away")
    out = Path(settings["out"])
    if out.suffix.lower() in _OTHER_PICTURES:
        raise UserError(f"out={out} does not fit, views are drawn as PNG; let it end in .png")
    if out.suffix.lower() != ".png":
        out = out.with_name(f"{out.name}.png")
    if out.is_dir() or (out.exists() and not settings["overwrite"]):
        remedy = "" if out.is_dir() else ", or add overwrite=true to replace it"
        raise UserError(f"{out} is there already; choose another out={remedy}")
    return out


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    """Words on lines that are no wider than `width` pixels, unless a single word is."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
