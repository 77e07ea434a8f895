"""An encoder -> a new directory that another library reads; it holds no path and no identifier of a scan."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from ssl_robust.encoders.card import Card
from ssl_robust.encoders.checkpoint import load_encoder, save_encoder
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.encoders.places import name_of
from ssl_robust.exports import huggingface, onnx_graph, readme, torchvision_names
from ssl_robust.run import UserError


def export(name: str | Path, out: str | Path, *, style: str, dtype: str, license: str) -> Path:
    """Write an encoder in another library's format; the directory appears whole or not at all.

    Args:
        name: as for `find_checkpoint`.
        out: a directory that does not exist or is empty.
        style: timm, torchvision, onnx or huggingface.
        dtype: stored, float32 or float16, for timm and huggingface.
        license: of the weights, for the model card.

    Returns:
        `out`.

    Raises:
        UserError: there is no such encoder, the format cannot hold it, or `out` is taken.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"out={out} exists already; choose a new directory")
    encoder = load_encoder(name)
    assert encoder.card is not None  # whatever `load_encoder` returns has one
    title, card = name_of(name), encoder.card
    card = replace(card, weights_dtype=card.weights_dtype if dtype == "stored" else dtype)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        if style == "timm":
            _write_timm(encoder, unfinished, card, title)
        elif style == "huggingface":
            huggingface.write(encoder, unfinished, card, title, license=license)
        elif style == "torchvision":
            torchvision_names.write(encoder, unfinished, card, title)
        else:
            onnx_graph.write(encoder, unfinished, card, title)
        _reveal(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return out


def _write_timm(encoder: Encoder, directory: Path, card: Card, title: str) -> None:
    save_encoder(encoder, directory, card=card)
    readme.write(directory, title, card, readme.timm_snippet(card))


def _reveal(unfinished: Path, out: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    unfinished.chmod(0o777 & ~umask)  # mkdtemp makes what only its owner may read
    if out.exists():
        out.rmdir()
    unfinished.rename(out)
