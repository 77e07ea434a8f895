"""`ssl-robust pretrain`: scans -> an encoder, its card and the curves of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf

from ssl_robust.data.batches import Batches
from ssl_robust.data.scanset import ScanSet, open_scans
from ssl_robust.data.views import Views
from ssl_robust.encoders.checkpoint import describe, save_encoder
from ssl_robust.encoders.encoder import Encoder, create_encoder
from ssl_robust.encoders.fingerprints import write_seen
from ssl_robust.pretrain.loop import Loop
from ssl_robust.pretrain.method import build_method
from ssl_robust.pretrain.monitor import make_monitor
from ssl_robust.run import Run, UserError
from ssl_robust.training.device import pick_device, pick_precision
from ssl_robust.training.loggers import closing, make_loggers
from ssl_robust.training.processor import prepare_processor
from ssl_robust.training.resuming import check_same

if TYPE_CHECKING:
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
    _check(settings)
    scans = open_scans(settings["data"])
    scans.say_found()
    rows = scans.manifest.rows(settings["data"]["split"])
    batch_size = _batch_size(len(rows), settings)
    loggers = make_loggers(settings.get("logger"), settings["out"], settings)
    loop, encoder = _build(settings, scans, rows, batch_size, loggers)
    facts = {"n_scans": len(rows), "data_fingerprint": scans.manifest.fingerprint, "unreadable": scans.unreadable,
             "batch_size": batch_size}  # fmt: skip
    if settings["resume"]:
        check_same(settings, stage="pretrain", fingerprint=facts["data_fingerprint"])
    with Run(settings["out"], stage="pretrain", config=settings, resume=settings["resume"],
             overwrite=settings["overwrite"]) as run:  # fmt: skip
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
        )
        write_seen(scans, rows, run.path)
        save_encoder(encoder, run.path, card=card)
    return run.path


def _check(settings: Mapping[str, Any]) -> None:
    """Refuse what would fail late, before any scan is read."""
    if "split" not in settings["data"]:  # vectors
        raise UserError("data=embeddings is for the audit, pretraining needs scans; give data=folder, csv or npz")
    trainer = settings["trainer"]
    # Batch normalisation cannot take a scan that is alone in its batch.
    for name, least in (("max_epochs", 1), ("batch_size", 2), ("accumulate", 1)):
        if not isinstance(trainer[name], int) or trainer[name] < least:
            raise UserError(f"trainer.{name}={trainer[name]} does not fit; expected a whole number, at least {least}")
    if settings["data"]["split"] not in ("train", "val", "test", "all"):
        raise UserError(f"data.split={settings['data']['split']} is unknown; expected train or all")
    every = settings["monitor"]["every"]
    if every != "auto" and (not isinstance(every, int) or every < 1):
        raise UserError(f"monitor.every={every} does not fit; expected auto or a whole number above 0")
    out = Path(settings["out"])
    if out.is_dir() and any(out.iterdir()) and not (settings["resume"] or settings["overwrite"]):
        # The run directory says which run is there; it is asked early, since reading the scans may take long.
        Run(out, stage="pretrain", config=settings)


def _batch_size(n_scans: int, settings: Mapping[str, Any]) -> int:
    wanted = settings["trainer"]["batch_size"]
    if n_scans < 2:
        split = settings["data"]["split"]
        raise UserError(f"{n_scans} scans in data.split={split}, pretraining needs at least 2; try data.split=all")
    if n_scans < wanted:
        print(f"Only {n_scans} scans: trainer.batch_size={n_scans} instead of {wanted}", flush=True)
    return min(n_scans, wanted)


def _build(
    settings: Mapping[str, Any], scans: ScanSet, rows: np.ndarray, batch_size: int, loggers: Sequence[Logger]
) -> tuple[Loop, Encoder]:
    """The loop and the encoder that it trains; new weights follow from the seed."""
    device = pick_device(settings["trainer"]["device"])
    precision = pick_precision(settings["trainer"]["precision"], device)
    mean, std = scans.statistics(rows)
    torch.manual_seed(settings["seed"])
    encoder = create_encoder(
        settings["encoder"],
        in_chans=scans.channels,
        input_size=scans.image_size,
        mean=mean,
        std=[max(value, 1e-3) for value in std],
        encoder_args=settings["encoder_args"],
    )
    try:
        method = build_method(settings["method"], encoder)
        views = Views(crops=method.crops, image_size=scans.image_size, channels=scans.channels, **settings["views"])
        _check_smallest(encoder, views)
        loop = Loop(
            method,
            views=views,
            batches=Batches(scans, rows, batch_size=batch_size, seed=settings["seed"], shuffle=True, drop_last=True),
            monitor=make_monitor(scans, settings["monitor"], batch_size=batch_size, seed=settings["seed"]),
            optim=settings["optim"],
            trainer=settings["trainer"],
            monitor_every=settings["monitor"]["every"],
            seed=settings["seed"],
            device=device,
            precision=precision,
            loggers=loggers,
        )
    except ValueError as error:
        raise UserError(f"an option of method, views or optim does not fit: {error}") from error
    return loop, encoder


@torch.no_grad()
def _check_smallest(encoder: Encoder, views: Views) -> None:
    """Some encoders cannot take small views at all; better to know before the scans are learnt from."""
    side = views.smallest_side
    training = encoder.training
    try:
        encoder.eval()(torch.zeros(1, views.channels, side, side))
    except RuntimeError as error:
        raise UserError(
            f"encoder={encoder.name} cannot take views of {side} px ({error}); take larger ones, "
            "'method.crops=[{n:2,size:1.0}]', or larger scans, data.image_size="
        ) from error
    encoder.train(training)
