"""`ssl-robust pretrain`: scans -> an encoder, its card and the curves of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf

from ssl_robust import processes
from ssl_robust.data.batches import Batches
from ssl_robust.data.scanset import ScanSet, open_scans
from ssl_robust.data.views import Views
from ssl_robust.encoders.checkpoint import describe, save_encoder
from ssl_robust.encoders.encoder import Encoder, create_encoder
from ssl_robust.encoders.fingerprints import write_seen
from ssl_robust.pretrain.loop import Loop
from ssl_robust.pretrain.method import build_method
from ssl_robust.pretrain.monitor import make_monitor
from ssl_robust.run import Run, UserError, read_run
from ssl_robust.training.device import pick_precision
from ssl_robust.training.loggers import closing, make_loggers
from ssl_robust.training.processor import prepare_processor
from ssl_robust.training.resuming import check_same
from ssl_robust.training.world import in_turn, launch

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
    _check(settings)
    fabric = launch(device=settings["trainer"]["device"], devices=_devices(settings["trainer"]), prefix="trainer.")
    scans = in_turn(fabric, lambda: open_scans(settings["data"]))
    scans.say_found()
    rows = scans.manifest.rows(settings["data"]["split"])
    batch_size = _batch_size(len(rows), settings, fabric.world_size)
    loggers = make_loggers(settings.get("logger"), settings["out"], settings)
    loop, encoder = _build(settings, scans, rows, batch_size, fabric, loggers)
    out = Path(settings["out"])
    if not fabric.is_global_zero:
        loop.fit(out, resume=settings["resume"])
        return out
    facts = {"n_scans": len(rows), "data_fingerprint": scans.manifest.fingerprint, "unreadable": scans.unreadable,
             "batch_size": batch_size, "n_processes": fabric.world_size}  # fmt: skip
    if settings["resume"]:
        check_same(settings, stage="pretrain", fingerprint=facts["data_fingerprint"])
        _say_if_rescaled(out, fabric.world_size)
    with Run(out, stage="pretrain", config=settings, resume=settings["resume"],
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
    minutes = trainer["checkpoint_minutes"]
    if not isinstance(minutes, int | float) or minutes <= 0:
        raise UserError(f"trainer.checkpoint_minutes={minutes} does not fit; expected a number of minutes, e.g. 10")
    if settings["data"]["split"] not in ("train", "val", "test", "all"):
        raise UserError(f"data.split={settings['data']['split']} is unknown; expected train or all")
    every = settings["monitor"]["every"]
    if every != "auto" and (not isinstance(every, int) or every < 1):
        raise UserError(f"monitor.every={every} does not fit; expected auto or a whole number above 0")
    out = Path(settings["out"])
    if out.is_dir() and any(out.iterdir()) and not (settings["resume"] or settings["overwrite"]):
        # The run directory says which run is there; it is asked early, since reading the scans may take long.
        Run(out, stage="pretrain", config=settings)


def _devices(trainer: Mapping[str, Any]) -> int | str | None:
    """Processes on this machine, None for this one alone."""
    strategy = trainer.get("strategy")
    if strategy not in (None, "ddp"):
        raise UserError(f"trainer.strategy={strategy} is unknown; it is ddp, or left out")
    if strategy is None and processes.count() > 1:
        raise UserError(f"{processes.count()} processes were started, which need trainer=ddp to work together")
    return trainer["devices"] if strategy else None


def _say_if_rescaled(out: Path, n_processes: int) -> None:
    before = read_run(out).get("n_processes", 1) if (out / "run.json").is_file() else n_processes
    if before != n_processes:
        print(f"Note: {out} was started with {before} processes and goes on with {n_processes}: the same batches, but "
              "other random views than an uninterrupted run", flush=True)  # fmt: skip


def _batch_size(n_scans: int, settings: Mapping[str, Any], n_processes: int) -> int:
    wanted = settings["trainer"]["batch_size"]
    if n_scans < 2 * n_processes:
        split, least = settings["data"]["split"], 2 * n_processes
        raise UserError(
            f"{n_scans} scans in data.split={split}, pretraining needs at least {least}; try data.split=all"
        )
    if wanted % n_processes:
        raise UserError(
            f"trainer.batch_size={wanted} cannot be shared by {n_processes} processes; "
            f"take a multiple of {n_processes}, e.g. {-(-wanted // n_processes) * n_processes}"
        )
    fitting = min(n_scans // n_processes * n_processes, wanted)
    if fitting < wanted:
        print(f"Only {n_scans} scans: trainer.batch_size={fitting} instead of {wanted}", flush=True)
    return fitting


def _build(
    settings: Mapping[str, Any],
    scans: ScanSet,
    rows: np.ndarray,
    batch_size: int,
    fabric: Fabric,
    loggers: Sequence[Logger],
) -> tuple[Loop, Encoder]:
    """The loop and the encoder that it trains; new weights follow from the seed."""
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
