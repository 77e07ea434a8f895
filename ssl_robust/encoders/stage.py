"""The `embed` stage: a checkpoint and scans -> a run directory with one vector per scan."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_robust import processes
from ssl_robust.encoders.embeddings import embed
from ssl_robust.encoders.fingerprints import count_seen
from ssl_robust.encoders.resolve import open_encoder_and_scans
from ssl_robust.encoders.reuse import check_reusable
from ssl_robust.run import Run, UserError
from ssl_robust.training.processor import prepare_processor
from ssl_robust.training.resuming import is_finished
from ssl_robust.training.world import in_turn, launch

if TYPE_CHECKING:
    from omegaconf import DictConfig


def embed_stage(config: DictConfig) -> Path:
    """Write `embeddings.npy` and `samples.csv`.

    Args:
        config: composed from `configs/embed.yaml`.

    Returns:
        The run directory.

    Raises:
        UserError: a mistake in the options or the data.
    """
    from omegaconf import OmegaConf

    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if config.batch_size < 1:
        raise UserError(f"batch_size={config.batch_size} is not positive; give the scans per forward pass, e.g. 256")
    if is_finished(settings, stage="embed"):
        return Path(config.out)
    if config.reuse is not None:
        check_reusable(config.reuse)
    run = Run(config.out, stage="embed", config=settings, resume=config.resume, overwrite=config.overwrite)
    prepare_processor()
    devices = config.devices if config.devices != 1 or processes.count() > 1 else None
    fabric = launch(device=config.device, devices="auto" if devices == 1 else devices)
    encoder, scans = in_turn(fabric, lambda: open_encoder_and_scans(config))
    make = partial(embed, encoder, scans, batch_size=config.batch_size, precision=config.precision, fabric=fabric,
                   reuse=config.reuse)  # fmt: skip
    if not fabric.is_global_zero:
        fabric.barrier()  # until the first process has made the run's directory
        make(out=config.out)
        return Path(config.out)
    with run:
        fabric.barrier()
        run.note(data_fingerprint=scans.manifest.fingerprint, n_scans=len(scans.manifest), unreadable=scans.unreadable)
        seen = count_seen(config.checkpoint, scans, scans.manifest.rows("test"), what="test scans")
        run.note(n_test_pretrained_on=seen, encoder=None if encoder.card is None else asdict(encoder.card))
        emb = make(out=run.path)
        print(f"{len(emb.vectors)} scans -> {emb.vectors.shape[1]} numbers each")
    return run.path
