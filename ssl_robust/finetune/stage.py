"""`ssl-robust finetune`: scans, labels and an encoder -> a classifier, and what label noise did to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ssl_robust.data.scanset import ScanSet
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.encoders.fingerprints import count_seen, encoder_fingerprint
from ssl_robust.encoders.resolve import open_encoder_and_scans
from ssl_robust.finetune.job import Job
from ssl_robust.finetune.results import write_results
from ssl_robust.finetune.strategy import build_strategy
from ssl_robust.finetune.task import Task, make_task
from ssl_robust.noise.transitions import check_share
from ssl_robust.run import Run, UserError
from ssl_robust.training.loggers import closing
from ssl_robust.training.processor import prepare_processor
from ssl_robust.training.resuming import check_same

if TYPE_CHECKING:
    from omegaconf import DictConfig


def finetune(config: DictConfig) -> Path:
    """Train a classifier on labels of which some may be wrong, and measure it on the test split.

    Args:
        config: composed from `configs/finetune.yaml`.

    Returns:
        The run directory: classifier.safetensors, classifier.json, labels.csv, predictions.csv, metrics.csv,
        metrics.json, dynamics.npz, last.ckpt, run.json, config.yaml.

    Raises:
        UserError: an option does not fit, the labels cannot be learnt from, the run to be resumed was another one, or
            the loss is no longer finite.
    """
    prepare_processor()
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    check(settings, stage="finetune")
    prepared = prepare(config, settings, stage="finetune")
    job = Job(settings, prepared.encoder, prepared.scans, prepared.task)
    with Run(settings["out"], stage="finetune", config=settings, resume=settings["resume"],
             overwrite=settings["overwrite"]) as run:  # fmt: skip
        fit(job, prepared, run)
        variance = job.gradients.variance()
        write_results(
            run.path, job.history, variance, interval=settings["interval"], seed=settings["seed"],
            n_seen=prepared.n_seen,
        )  # fmt: skip
    return run.path


@dataclass(frozen=True)
class Prepared:
    """What is trained on.

    Attributes:
        encoder: that training starts from.
        scans: as it wants them.
        task: the labels, after noise was added.
        origin: fingerprint of the encoder.
        n_seen: test scans that it was pretrained on, None where that is unknown.
    """

    encoder: Encoder
    scans: ScanSet
    task: Task
    origin: str
    n_seen: int | None


def prepare(config: DictConfig, settings: Mapping[str, Any], *, stage: str) -> Prepared:
    """Open encoder and scans, make the labels, and refuse to resume another run.

    Args:
        config: of the stage.
        settings: the same in plain containers.
        stage: that asks.

    Raises:
        UserError: the labels cannot be learnt from, or the run to be resumed was another one.
    """
    encoder, scans = open_encoder_and_scans(config)
    task = make_task(scans.manifest, settings["noise"], settings["seed"], scans.pixels)
    origin = encoder_fingerprint(encoder)
    if settings["resume"]:
        check_same(settings, stage=stage, fingerprint=scans.manifest.fingerprint, encoder=origin)
    return Prepared(encoder, scans, task, origin,
                    count_seen(settings["checkpoint"], scans, task.test, what="test scans"))  # fmt: skip


def fit(job: Job, prepared: Prepared, run: Run) -> None:
    """Note in `run` what is trained on, write labels.csv, and train to the last epoch."""
    scans = prepared.scans
    run.note(data_fingerprint=scans.manifest.fingerprint, n_scans=len(scans), unreadable=scans.unreadable)
    run.note(encoder_fingerprint=prepared.origin, n_test_pretrained_on=prepared.n_seen)
    prepared.task.write_labels(run / "labels.csv")
    with closing(job.loggers):
        job.fit(run.path, resume=run.resumed)


def check(settings: Mapping[str, Any], *, stage: str) -> None:
    """Refuse what would fail late, before any scan is read."""
    # Fewer than four scans a batch can leave one alone at the end of an epoch, which batch normalisation cannot take.
    whole_numbers = {
        "trainer.max_epochs": 1,
        "trainer.batch_size": 4,
        "trainer.accumulate": 1,
        "interval.n_resamples": 1,
    }
    for name, least in whole_numbers.items():
        value = settings[name.split(".")[0]][name.split(".")[1]]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UserError(f"{name}={value} does not fit; expected a whole number, at least {least}")
    if not isinstance(settings["trainer"]["gradients"], bool):
        raise UserError(f"trainer.gradients={settings['trainer']['gradients']} does not fit; expected true or false")
    if "strategy" in settings["trainer"]:
        raise UserError("trainer=ddp is for pretrain; a fine-tuning takes one device, leave it out")
    if not 0 < settings["interval"]["level"] < 1:
        raise UserError(f"interval.level={settings['interval']['level']} does not fit; expected a share, e.g. 0.95")
    if settings["freeze"] and settings["checkpoint"] == "none":
        print("Note: freeze=true with checkpoint=none trains a linear layer on random features", flush=True)
    _check_options(settings)
    if not (settings["resume"] or settings["overwrite"]):
        # Refuses an occupied directory before the scans are read, which may take long.
        Run(settings["out"], stage=stage, config=settings)


def _check_options(settings: Mapping[str, Any]) -> None:
    """Refuse a strategy or a rate that cannot be, whatever the labels."""
    for kind, look in (("strategy", build_strategy), ("noise", _check_rate)):
        try:
            if kind in settings:
                look(settings[kind])
        except ValueError as error:
            raise UserError(f"an option of {kind} does not fit: {error}") from error


def _check_rate(noise: Mapping[str, Any]) -> None:
    if "rate" in noise:
        check_share(noise["rate"])
