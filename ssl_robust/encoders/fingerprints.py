"""What an encoder is, and which scans it has seen: short hashes that a later stage compares."""

from __future__ import annotations

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from ssl_robust.data.scanset import ScanSet
from ssl_robust.encoders.card import SNAPSHOTS
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.encoders.places import NO_WEIGHTS, card_of, find_checkpoint
from ssl_robust.run import UserError, replacing

SEEN = "scans.npy"
_BLOCK = 256  # scans that one thread hashes at a time


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


@dataclass(frozen=True)
class Beginning:
    """What a training begins with, asked before it, since the directory may be gone afterwards.

    Attributes:
        words: for the card of what comes of it; "" for new weights.
        fingerprint: of the encoder, "none" for new weights.
        seen: (n,) uint64 hashes of the scans that it has learned from, so far as it says so.
    """

    words: str
    fingerprint: str
    seen: np.ndarray


def beginning(checkpoint: str, encoder: Encoder) -> Beginning:
    """What is known of the encoder that `checkpoint` names.

    Args:
        checkpoint: as in the configuration.
        encoder: that encoder, before training.
    """
    nothing = np.empty(0, np.uint64)
    if checkpoint == "none":
        return Beginning("", "none", nothing)
    if encoder.card is None:
        return Beginning(f"timm's weights of {encoder.name}", encoder_fingerprint(encoder), nothing)
    file, card = _seen_file(find_checkpoint(checkpoint)), encoder.card
    before = f"; that one began with: {card.starts_from}" if card.starts_from else ""
    words = f"{card.in_words()}, licence of the scans: {card.data_licence or 'unknown'}{before}"
    return Beginning(words, encoder_fingerprint(encoder), _read_seen(file) if file.is_file() else nothing)


def write_seen(scans: ScanSet, rows: np.ndarray, directory: Path, *, earlier: np.ndarray | None = None) -> None:
    """Write `scans.npy`: (n,) uint64 hashes of the pixels of some scans, sorted; no id, no pixel.

    Args:
        scans: what was learned from.
        rows: which of them.
        directory: of the run.
        earlier: hashes of scans that count, too.
    """
    hashes = np.sort(pixel_hashes(scans, rows))
    with replacing(directory / SEEN) as temporary:
        np.save(temporary, hashes if earlier is None else np.union1d(hashes, earlier))


def count_seen(checkpoint: str, scans: ScanSet, rows: np.ndarray, *, what: str) -> int | None:
    """How many scans a checkpoint was pretrained on; said if there are any.

    Pixels are compared, so that another name, lossless format, split seed or set does not hide a scan. One that was
    stored at another size or compressed anew is not recognised.

    Args:
        checkpoint: as in the configuration.
        scans: as the checkpoint's card wants them, else their pixels cannot be compared.
        rows: (n,) which of them.
        what: what to call them.

    Returns:
        None where it cannot be known: no `scans.npy` beside the encoder, or scans that are prepared otherwise.
    """
    if checkpoint in NO_WEIGHTS:
        return None
    directory = find_checkpoint(checkpoint)
    file = _seen_file(directory)
    if not file.is_file():
        return None
    seen = _read_seen(file)
    if not _prepared_alike(directory, scans):
        print(f"Note: whether the encoder was pretrained on {what} cannot be told, as data.image_size, channels or "
              "resize differ from its own", file=sys.stderr)  # fmt: skip
        return None
    n = int(np.isin(pixel_hashes(scans, rows), seen).sum())
    if not n and (sets := card_of(directory).trained_on):
        print(f"Note: none of the {len(rows)} {what} is pixel by pixel one that the encoder learned from; where yours "
              f"come from the same sets at another size ({', '.join(sets)}), measures are too good",
              file=sys.stderr)  # fmt: skip
    if n:
        print(f"Note: the encoder was pretrained (without labels) on {n} of the {len(rows)} {what}; for a clean "
              "measure pretrain with data.split=train and the same data.split_seed (a set that has grown is split "
              "anew)", file=sys.stderr)  # fmt: skip
    return n


def pixel_hashes(scans: ScanSet, rows: np.ndarray) -> np.ndarray:
    """(n,) uint64 of the pixels as 16-bit numbers, since one deep scan in a set makes the others deep, too.

    Args:
        scans: where the rows are.
        rows: (n,) ints, rows of the manifest.
    """
    factor = np.uint16(257 if scans.pixels.dtype == np.uint8 else 1)

    def hashed(block: np.ndarray) -> list[int]:
        texts = (
            hashlib.blake2b((scans.pixels[row].astype("<u2", order="C") * factor).data, digest_size=8) for row in block
        )
        return [int.from_bytes(text.digest(), "little") for text in texts]

    blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    with ThreadPoolExecutor() as pool:  # hashlib works without the interpreter's lock
        return np.fromiter(chain.from_iterable(pool.map(hashed, blocks)), np.uint64, len(rows))


def _seen_file(directory: Path) -> Path:
    """Where the hashes lie; those of a run are for its snapshots, too."""
    return (directory.parent.parent if directory.parent.name == SNAPSHOTS else directory) / SEEN


def _read_seen(path: Path) -> np.ndarray:
    try:
        # Mapped, as a header may claim more than any memory holds; the map must not outlive the directory.
        with np.errstate(over="raise"):
            seen = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError, EOFError, ArithmeticError):
        seen = np.empty(0)
    if seen.dtype != np.uint64 or seen.ndim != 1:
        raise UserError(f"{path} holds no list of scans; copy it from its run again, or delete it")
    return seen


def _prepared_alike(directory: Path, scans: ScanSet) -> bool:
    card = card_of(directory)
    return (card.input_size, card.in_chans, card.resize) == (scans.image_size, scans.channels, scans.resize)
