"""What an encoder is, and which scans it has seen: short hashes that a later stage compares."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch

from ssl_robust.data.scanset import ScanSet
from ssl_robust.encoders.card import SNAPSHOTS, read_card
from ssl_robust.encoders.checkpoint import find_checkpoint
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.run import replacing

SEEN = "scans.npy"


def encoder_fingerprint(encoder: Encoder) -> str:
    """Hash of architecture, normalisation and weights, wherever they lie."""
    # Statistics of the scans may differ in the last digit between machines.
    statistics = [[round(value, 6) for value in values] for values in (encoder.mean, encoder.std)]
    facts = json.dumps([encoder.name, encoder.model_args, statistics], default=str)
    summary = hashlib.blake2b(facts.encode(), digest_size=16)
    for key, value in encoder.timm.state_dict().items():
        summary.update(key.encode())
        summary.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return summary.hexdigest()


def write_seen(scans: ScanSet, rows: np.ndarray, directory: Path) -> None:
    """Write `scans.npy`: (n,) uint64 hashes of the pixels of some scans, sorted; no id, no pixel."""
    with replacing(directory / SEEN) as temporary:
        np.save(temporary, np.sort(_hashes(scans, rows)))


def count_seen(checkpoint: str, scans: ScanSet, rows: np.ndarray, *, what: str) -> int | None:
    """How many scans a checkpoint was pretrained on; said if there are any.

    Pixels are compared, so that another name, file format, split seed or set does not hide a scan.

    Args:
        checkpoint: as in the configuration.
        scans: as the checkpoint's card wants them, else their pixels cannot be compared.
        rows: (n,) which of them.
        what: what to call them.

    Returns:
        None where it cannot be known: no `scans.npy` beside the encoder, or scans that are prepared otherwise.
    """
    if checkpoint in ("none", "imagenet"):
        return None
    directory = find_checkpoint(checkpoint)
    run = directory.parent.parent if directory.parent.name == SNAPSHOTS else directory
    if not (run / SEEN).is_file():
        return None
    with (run / SEEN).open("rb") as file:
        seen = np.load(file, allow_pickle=False)
    if not _prepared_alike(directory, scans):
        print(f"Note: whether the encoder was pretrained on {what} cannot be told, as data.image_size, channels or "
              "resize differ from its own", file=sys.stderr)  # fmt: skip
        return None
    n = int(np.isin(_hashes(scans, rows), seen).sum())
    if n:
        print(f"Note: the encoder was pretrained (without labels) on {n} of the {len(rows)} {what}; for a clean "
              "measure pretrain with data.split=train and the same data.split_seed", file=sys.stderr)  # fmt: skip
    return n


def _prepared_alike(directory: Path, scans: ScanSet) -> bool:
    card = read_card(directory)
    return (card.input_size, card.in_chans, card.resize) == (scans.image_size, scans.channels, scans.resize)


def _hashes(scans: ScanSet, rows: np.ndarray) -> np.ndarray:
    """(n,) uint64 of the pixels as 16-bit numbers, since one deep scan in a set makes the others deep, too."""
    factor = np.uint16(257 if scans.pixels.dtype == np.uint8 else 1)
    texts = (hashlib.blake2b((scans.pixels[row].astype("<u2") * factor).tobytes(), digest_size=8) for row in rows)
    return np.fromiter((int.from_bytes(text.digest(), "little") for text in texts), np.uint64, len(rows))
