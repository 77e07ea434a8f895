"""`ssl-robust pretrain`: scans -> an encoder, its card and the curves of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf

from ssl_robust.data.batches import Batches
from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.views import Views
from ssl_robust.encoders.card import Card
from ssl_robust.encoders.checkpoint import describe
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.encoders.fingerprints import Beginning, beginning, write_seen
from ssl_robust.encoders.resolve import open_scans_for
from ssl_robust.pretrain.checks import (
    check_settings,
    check_smallest,
    fitting_batch_size,
    n_devices,
    say_if_rescaled,
    say_replaced_views,
)
from ssl_robust.pretrain.loop import Loop
from ssl_robust.pretrain.method import build_method, fitting_views
from ssl_robust.pretrain.monitor import make_monitor
from ssl_robust.pretrain.selection import Snapshots, leave
from ssl_robust.pretrain.starting import starting_encoder
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
        The run directory: encoder.safetensors, encoder.json, snapshots/, scans.npy, metrics.csv, last.ckpt, run.json,
        config.yaml.

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
    say_replaced_views(settings)
    rows = scans.manifest.rows(settings["data"]["split"])
    batch_size = fitting_batch_size(len(rows), settings, fabric.world_size)
    loggers = make_loggers(settings.get("logger"), settings["out"], settings)
    encoder = starting_encoder(settings, scans, rows, fabric)
    start = beginning(config.checkpoint, encoder)
    card = partial(_card, settings, scans, len(rows), encoder, start)
    snapshots = Snapshots(encoder, card, keep=settings["monitor"]["keep"])
    loop = build_loop(settings, scans, rows, batch_size, fabric, encoder, loggers, snapshots)
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
        write_seen(scans, rows, run.path, earlier=start.seen)
        with closing(loggers):
            loop.fit(run.path, resume=run.resumed)
        leave(run, snapshots, select=settings["monitor"]["select"])
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


def build_loop(
    settings: Mapping[str, Any],
    scans: ScanSet,
    rows: np.ndarray,
    batch_size: int,
    fabric: Fabric,
    encoder: Encoder,
    loggers: Sequence[Logger],
    snapshots: Snapshots,
) -> Loop:
    """The loop that trains the encoder.

    Args:
        settings: the resolved configuration.
        scans: the whole set.
        rows: which of them it learns from.
        batch_size: from `fitting_batch_size`.
        fabric: the processes that train together.
        encoder: what is trained.
        loggers: what else gets the rows of metrics.csv.
        snapshots: keeps encoders that training passes through.

    Raises:
        UserError: an option does not fit.
    """
    try:
        method = build_method(settings["method"], encoder)
        recipe = fitting_views(settings["method"], settings["views"])
        views = Views(crops=method.crops, image_size=scans.image_size, channels=scans.channels, **recipe)
        check_smallest(encoder, views)
        seed = settings["seed"]
        monitor = make_monitor(scans, settings["monitor"], settings["views"], batch_size=batch_size, seed=seed)
        if settings["monitor"]["select"] == "knn" and not monitor.can_vote:
            raise UserError("monitor.select=knn needs labels in train and val; take rankme, lidar, alpha_req or last")
        return Loop(
            method,
            views=views,
            batches=_batches(scans, rows, batch_size, seed, fabric),
            monitor=monitor,
            optim=settings["optim"],
            trainer=settings["trainer"],
            monitor_every=settings["monitor"]["every"],
            snapshots=snapshots,
            seed=seed,
            fabric=fabric,
            precision=pick_precision(settings["trainer"]["precision"], fabric.device),
            loggers=loggers,
        )
    except ValueError as error:
        raise UserError(f"an option of method, views or optim does not fit: {error}") from error


def _batches(scans: ScanSet, rows: np.ndarray, batch_size: int, seed: int, fabric: Fabric) -> Batches:
    """Shuffled whole batches, of which each process gets its share."""
    rank, n_ranks = fabric.global_rank, fabric.world_size
    return Batches(
        scans, rows, batch_size=batch_size, seed=seed, shuffle=True, drop_last=True, rank=rank, n_ranks=n_ranks
    )


def _card(
    settings: Mapping[str, Any], scans: ScanSet, n_scans: int, encoder: Encoder, start: Beginning, epochs: int
) -> Card:
    return describe(
        encoder,
        resize=scans.resize,
        method=settings["method"]["_target_"].split(".")[-2],
        epochs=epochs,
        n_scans=n_scans,
        data_fingerprint=scans.manifest.fingerprint,
        data_licence=settings["data_licence"],
        starts_from=start.words,
        window=scans.manifest.window,
    )
