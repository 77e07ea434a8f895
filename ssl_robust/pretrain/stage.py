"""`ssl-robust pretrain`: scans -> an encoder, its card and the curves of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf

from ssl_robust.data.batches import Batches
from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.views import Views
from ssl_robust.encoders.checkpoint import describe, save_encoder
from ssl_robust.encoders.encoder import Encoder, create_encoder
from ssl_robust.encoders.fingerprints import beginning, write_seen
from ssl_robust.encoders.resolve import open_encoder, open_scans_for
from ssl_robust.pretrain.checks import (
    check_settings,
    check_smallest,
    fitting_batch_size,
    n_devices,
    say_if_rescaled,
)
from ssl_robust.pretrain.loop import Loop
from ssl_robust.pretrain.method import build_method, fitting_views
from ssl_robust.pretrain.monitor import make_monitor
from ssl_robust.run import Run, UserError
from ssl_robust.training.device import pick_precision
from ssl_robust.training.loggers import closing, make_loggers
from ssl_robust.training.processor import prepare_processor
from ssl_robust.training.resuming import check_same
from ssl_robust.training.world import check_same_everywhere, in_turn, launch, together

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from lightning.fabric.loggers.logger import Logger
    from omegaconf import DictConfig


def pretrain(config: DictConfig) -> Path:
    """Train an encoder by self-supervision.

    Args:
        config: composed from `configs/pretrain.yaml`.

    Returns:
        The run directory: encoder.safetensors, encoder.json, scans.npy, metrics.csv, last.ckpt, run.json, config.yaml.

    Raises:
        UserError: an option does not fit, there are too few scans, the run to be resumed was another one, or the
            loss is no longer finite.
    """
    prepare_processor()
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    check_settings(settings)
    fabric = launch(device=settings["trainer"]["device"], devices=n_devices(settings["trainer"]), prefix="trainer.")
    scans = in_turn(fabric, lambda: open_scans_for(config))
    scans.say_found()
    rows = scans.manifest.rows(settings["data"]["split"])
    batch_size = fitting_batch_size(len(rows), settings, fabric.world_size)
    loggers = make_loggers(settings.get("logger"), settings["out"], settings)
    loop, encoder = _build(settings, scans, rows, batch_size, fabric, loggers)
    start = beginning(config.checkpoint, encoder)
    seen = (scans.manifest.fingerprint, len(rows))
    check_same_everywhere(fabric, seen, "the machines see different scans; give all of them the same data")
    claimed = together(fabric, lambda: _claim(settings, scans, fabric, start.fingerprint))
    if claimed is None:
        loop.fit(Path(settings["out"]), resume=settings["resume"])
        return Path(settings["out"])
    facts = {"n_scans": len(rows), "data_fingerprint": scans.manifest.fingerprint, "unreadable": scans.unreadable,
             "batch_size": batch_size, "n_processes": fabric.world_size,
             "encoder_fingerprint": start.fingerprint}  # fmt: skip
    with claimed as run:
        run.note(**facts)
        with closing(loggers):
            loop.fit(run.path, resume=run.resumed)
        card = describe(
            encoder,
            resize=scans.resize,
            method=settings["method"]["_target_"].split(".")[-2],
            epochs=settings["trainer"]["max_epochs"],
            n_scans=len(rows),
            data_fingerprint=scans.manifest.fingerprint,
            data_licence=settings["data_licence"],
            starts_from=start.words,
        )
        write_seen(scans, rows, run.path, earlier=start.seen)
        save_encoder(encoder, run.path, card=card)
    return run.path


def _claim(settings: Mapping[str, Any], scans: ScanSet, fabric: Fabric, encoder: str) -> Run | None:
    """The run directory, for the first process alone."""
    if not fabric.is_global_zero:
        return None
    out, resume = Path(settings["out"]), settings["resume"]
    if resume:
        check_same(settings, stage="pretrain", fingerprint=scans.manifest.fingerprint, encoder=encoder)
        say_if_rescaled(out, fabric.world_size)
    return Run(out, stage="pretrain", config=settings, resume=resume, overwrite=settings["overwrite"])


def _build(
    settings: Mapping[str, Any],
    scans: ScanSet,
    rows: np.ndarray,
    batch_size: int,
    fabric: Fabric,
    loggers: Sequence[Logger],
) -> tuple[Loop, Encoder]:
    """The loop and the encoder that it trains; new weights follow from the seed."""
    encoder = _starting_encoder(settings, scans, rows, fabric)
    try:
        method = build_method(settings["method"], encoder)
        recipe = fitting_views(settings["method"], settings["views"])
        views = Views(crops=method.crops, image_size=scans.image_size, channels=scans.channels, **recipe)
        check_smallest(encoder, views)
        loop = Loop(
            method,
            views=views,
            batches=Batches(
                scans,
                rows,
                batch_size=batch_size,
                seed=settings["seed"],
                shuffle=True,
                drop_last=True,
                rank=fabric.global_rank,
                n_ranks=fabric.world_size,
            ),
            monitor=make_monitor(scans, settings["monitor"], batch_size=batch_size, seed=settings["seed"]),
            optim=settings["optim"],
            trainer=settings["trainer"],
            monitor_every=settings["monitor"]["every"],
            seed=settings["seed"],
            fabric=fabric,
            precision=pick_precision(settings["trainer"]["precision"], fabric.device),
            loggers=loggers,
        )
    except ValueError as error:
        raise UserError(f"an option of method, views or optim does not fit: {error}") from error
    return loop, encoder


def _starting_encoder(settings: Mapping[str, Any], scans: ScanSet, rows: np.ndarray, fabric: Fabric) -> Encoder:
    torch.manual_seed(settings["seed"])
    if settings["checkpoint"] != "none":
        encoder = open_encoder(OmegaConf.create(dict(settings)), scans)
        if "img_size" not in encoder.model_args:  # the others bring all views to their own size
            encoder.input_size = scans.image_size
        return encoder
    # One process reads all scans for it; the others are told.
    mean, std = fabric.broadcast(scans.statistics(rows) if fabric.is_global_zero else ([], []))
    return create_encoder(
        settings["encoder"],
        in_chans=scans.channels,
        input_size=scans.image_size,
        mean=mean,
        std=[max(value, 1e-3) for value in std],
        encoder_args=settings["encoder_args"],
    )
