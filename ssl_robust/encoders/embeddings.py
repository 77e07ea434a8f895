"""An encoder and scans -> one vector per scan, in pieces that a killed run finds again."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.sources import digest
from ssl_robust.data.views import Views
from ssl_robust.encoders.embedding_files import VECTORS, write_samples
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.encoders.fingerprints import pixel_hashes
from ssl_robust.encoders.reuse import ABOUT, PIXELS, Taken, made_with, nothing, take_over
from ssl_robust.files import printable
from ssl_robust.records import Embeddings
from ssl_robust.run import UserError, progress, read_json, replacing, write_json
from ssl_robust.training.device import pick_device, pick_precision
from ssl_robust.training.optimizers import mixed_seed
from ssl_robust.training.world import together

if TYPE_CHECKING:
    from lightning.fabric import Fabric

SHARDS = "shards"
_SHARD_SCANS = 4096
_CHUNK = 65_536  # vectors copied at a time


def embed(
    encoder: Encoder,
    scans: ScanSet,
    *,
    batch_size: int,
    device: str = "auto",
    precision: str = "auto",
    out: str | Path | None = None,
    fabric: Fabric | None = None,
    reuse: str | Path | None = None,
) -> Embeddings:
    """Vectors of all scans, in the manifest's order, not normalised.

    Args:
        encoder: is moved to the device.
        scans: what to embed.
        batch_size: scans per forward pass.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto, bf16 or fp32.
        out: directory for `embeddings.npy` and `samples.csv`. What is there already of the same scans, encoder and
            options is not computed again.
        fabric: the processes that share the work, each on its own device; only with `out`. All get the whole result.
        reuse: directory of a finished embed run; what it holds of these scans, from this encoder, is copied; only with
            `out`.

    Returns:
        (N, D) float32 vectors, memory-mapped where they were written, and the manifest's columns.

    Raises:
        UserError: a vector is not finite (the message names the scan), or `out` holds vectors of other scans, of
            another encoder or of other options, or `reuse` no vectors.
    """
    place = pick_device(device) if fabric is None else fabric.device
    with _prepared(encoder, place, pick_precision(precision, place)):
        if out is None:
            vectors = np.empty((len(scans.manifest), encoder.dim), np.float32)
            blocks = _blocks(len(vectors), batch_size, batch_size)
            for rows in progress(blocks, total=len(blocks), what="embedding batches"):
                vectors[rows] = _encode(encoder, scans, rows, place)
            return Embeddings(vectors, scans.manifest.table)
        part = (0, 1) if fabric is None else (fabric.global_rank, fabric.world_size)
        _embed_into(Path(out), encoder, scans, part, fabric, batch_size=batch_size, device=place, reuse=reuse)
    if part[0] == 0:
        shutil.rmtree(Path(out) / SHARDS, ignore_errors=True)
    if fabric is not None:
        fabric.barrier()
    return Embeddings(np.load(Path(out) / VECTORS, mmap_mode="r"), scans.manifest.table)


def encode_rows(
    encoder: Encoder,
    scans: ScanSet,
    rows: np.ndarray,
    *,
    batch_size: int,
    device: torch.device,
    what: str | None = None,
) -> np.ndarray:
    """Vectors of some scans with the encoder as it stands: for a look during training, and for frozen features.

    Args:
        encoder: is moved to the device; computes with its `autocast` in evaluation mode, and its mode is put back.
        scans: where the rows are.
        rows: (n,) ints, rows of the manifest.
        batch_size: scans per forward pass.
        device: where to compute.
        what: what to call it on the screen; None: silence.

    Returns:
        (n, D) float32.

    Raises:
        UserError: a vector is not finite.
    """
    blocks = _blocks(len(rows), batch_size, batch_size)
    with _prepared(encoder, device, encoder.autocast):
        shown = progress(blocks, total=len(blocks), what=what) if what else blocks
        parts = [_encode(encoder, scans, rows[block], device) for block in shown]
    return np.concatenate(parts) if parts else np.empty((0, encoder.dim), np.float32)


@torch.inference_mode()
def encode_views(
    encoder: Encoder,
    scans: ScanSet,
    rows: np.ndarray,
    *,
    views: Views,
    seed: int,
    batch_size: int,
    device: torch.device,
) -> np.ndarray:
    """Vectors of random views of some scans, the same views at every call; otherwise like `encode_rows`.

    Args:
        encoder: as there.
        scans: as there.
        rows: as there.
        views: makes the views.
        seed: of the views.
        batch_size: as there.
        device: as there.

    Returns:
        (n, views.n_views, D) float32.
    """
    parts = []
    with _prepared(encoder, device, encoder.autocast):
        for block in _blocks(len(rows), batch_size, batch_size):
            generator = torch.Generator(device).manual_seed(mixed_seed(seed, int(rows[block[0]])))
            made = views(scans.batch(rows[block]).images.to(device), generator)
            parts.append(torch.stack([encoder(view) for view in made], dim=1).cpu().numpy())
    return np.concatenate(parts) if parts else np.empty((0, views.n_views, encoder.dim), np.float32)


@contextlib.contextmanager
def _prepared(encoder: Encoder, device: torch.device, autocast: torch.dtype | None) -> Iterator[None]:
    before = encoder.training, encoder.autocast
    encoder.to(device).eval()
    encoder.autocast = autocast
    try:
        yield
    finally:
        encoder.train(before[0])
        encoder.autocast = before[1]


def _blocks(n: int, size: int, batch_size: int) -> list[np.ndarray]:
    """Rows 0..n-1 in blocks of about `size`, whole batches each, so that resuming never changes a batch."""
    step = -(-size // batch_size) * batch_size
    return [np.arange(start, min(start + step, n)) for start in range(0, n, step)]


@torch.inference_mode()
def _encode(encoder: Encoder, scans: ScanSet, rows: np.ndarray, device: torch.device) -> np.ndarray:
    vectors = encoder(scans.batch(rows).images.to(device)).cpu().numpy()
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        name = scans.manifest.table["sample_id"].iloc[int(rows[finite.argmin()])]
        raise UserError(
            f"the encoder gives NaN or infinity for {(~finite).sum()} scans, first {name}; "
            "try precision=fp32, or pretrain again with a lower optim.lr"
        )
    return vectors


def _embed_into(
    directory: Path, encoder: Encoder, scans: ScanSet, part: tuple[int, int], fabric: Fabric | None, *,
    batch_size: int, device: torch.device, reuse: str | Path | None,
) -> None:  # fmt: skip
    """Write the vectors and what stands beside them, unless they are there; `part` = (which process, of how many)."""
    made, taken, hashes = made_with(encoder), nothing(encoder.dim), None
    if reuse is not None:
        hashes = pixel_hashes(scans, np.arange(len(scans)))
        taken = take_over(reuse, made, hashes, encoder.dim)
    about = {"fingerprint": _origin(made, scans, batch_size, taken), **made, "taken_over": len(taken.rows)}
    _check_origin(directory, about["fingerprint"])
    if (directory / VECTORS).is_file():
        return
    if taken.words and part[0] == 0:
        print(printable(taken.words), flush=True)
    new = np.delete(np.arange(len(scans)), taken.rows)
    write = partial(_write_shards, encoder, scans, new, directory, part, batch_size=batch_size, device=device,
                    about=about)  # fmt: skip
    shards = write() if fabric is None else together(fabric, write)
    if part[0] == 0:
        write_json(directory / ABOUT, about)
        write_samples(scans.manifest.table, directory, votes=scans.manifest.votes)
        with replacing(directory / PIXELS) as temporary:
            np.save(temporary, pixel_hashes(scans, np.arange(len(scans))) if hashes is None else hashes)
        _merge(shards, new, taken, directory / VECTORS, (len(scans), encoder.dim))


def _write_shards(
    encoder: Encoder, scans: ScanSet, new: np.ndarray, directory: Path, part: tuple[int, int], *, batch_size: int,
    device: torch.device, about: dict[str, Any],
) -> list[Path]:  # fmt: skip
    """Write those that are missing out of every n-th shard of the new rows, `part` = (which, n); returns all."""
    blocks = _blocks(len(new), _SHARD_SCANS, batch_size)
    paths = [directory / SHARDS / f"{number:05d}.npy" for number in range(len(blocks))]
    # A file carries its final name only once it is whole.
    work = [
        (path, block, rows + block[0])
        for path, block in list(zip(paths, blocks, strict=True))[part[0] :: part[1]]
        if not path.exists()
        for rows in _blocks(len(block), batch_size, batch_size)
    ]
    done: list[np.ndarray] = []
    for path, block, rows in progress(work, total=len(work), what="embedding batches"):
        done.append(_encode(encoder, scans, new[rows], device))
        if rows[-1] == block[-1]:
            write_json(directory / ABOUT, about)
            with replacing(path) as temporary:
                np.save(temporary, np.concatenate(done))
            done.clear()
    return paths


def _origin(made: dict[str, str], scans: ScanSet, batch_size: int, taken: Taken) -> str:
    """Hash of all that the vectors follow from: weights, normalisation, precision, scans and their preparation."""
    before = [taken.rows.tobytes().hex()] if len(taken.rows) else []  # which decides what the shards hold
    return digest(
        made["encoder"], scans.manifest.fingerprint, scans.resize,
        *map(str, (made["precision"], batch_size, scans.image_size, scans.channels)), *before,
    )  # fmt: skip


def _check_origin(directory: Path, origin: str) -> None:
    about = directory / ABOUT
    if about.exists() and read_json(about).get("fingerprint") != origin:
        raise UserError(
            f"{directory} holds vectors of other scans, of another encoder or of other options; "
            "add overwrite=true or choose another out="
        )


def _merge(shards: Iterable[Path], new: np.ndarray, taken: Taken, path: Path, shape: tuple[int, int]) -> None:
    with replacing(path) as temporary:
        merged = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, len(taken.rows), _CHUNK):
            some = slice(start, start + _CHUNK)
            merged[taken.rows[some]] = taken.vectors[taken.places[some]]
        start = 0
        for shard in shards:
            block = np.load(shard, allow_pickle=False)
            merged[new[start : start + len(block)]] = block
            start += len(block)
        merged.flush()
        del merged
