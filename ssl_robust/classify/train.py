"""The `train` stage: doubtful labels -> a classifier that says how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf

from ssl_robust.classify.calibration import Calibration, fit_calibration
from ssl_robust.classify.doubts import Doubts, doubt
from ssl_robust.classify.predictor import load_predictor
from ssl_robust.classify.results import measured
from ssl_robust.classify.rule import Choice, check_rule, choose
from ssl_robust.finetune.classifier import CARD
from ssl_robust.finetune.info import info_of
from ssl_robust.finetune.job import Job
from ssl_robust.finetune.results import write_results
from ssl_robust.finetune.stage import Prepared, check, fit, prepare
from ssl_robust.run import Run, UserError, read_json, write_json
from ssl_robust.training.device import pick_device, pick_precision
from ssl_robust.training.processor import prepare_processor

if TYPE_CHECKING:
    from omegaconf import DictConfig


def train(config: DictConfig) -> Path:
    """Judge the labels, choose what protects from the wrong ones, train, calibrate, and measure.

    Args:
        config: composed from `configs/train.yaml`.

    Returns:
        The run directory: what `finetune` writes, with a calibrated classifier and calibrated predictions.csv (measures
        in metrics.json and metrics.csv are those before calibration); doubts.csv and train.json.

    Raises:
        UserError: as `finetune`; or the rule does not fit.
    """
    prepare_processor()
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    _check(settings)
    prepared = prepare(config, settings, stage="train")
    device = pick_device(settings["trainer"]["device"])
    prepared.encoder.autocast = pick_precision(settings["trainer"]["precision"], device)
    doubts = doubt(prepared, settings, device)
    choice = _choice(doubts, settings)
    if caution := doubts.facts().mistaken(prepared.task.manifest.classes):
        print(f"Note: {caution}", flush=True)
    print(f"{doubts.in_words()}\nRemedy: {choice.remedy} ({choice.why})", flush=True)
    info = info_of(prepared.task, settings, feature_dim=prepared.encoder.dim, believe=lambda: doubts.believed)
    job = Job({**settings, "strategy": choice.strategy}, prepared.encoder, prepared.scans, prepared.task, info,
              keep=choice.keep)  # fmt: skip
    with Run(settings["out"], stage="train", config=settings, resume=settings["resume"],
             overwrite=settings["overwrite"]) as run:  # fmt: skip
        run.note(remedy=asdict(choice))
        doubts.write(run / "doubts.csv")
        fit(job, prepared, run)
        calibration = _calibrate(run.path, job, prepared, doubts, settings)
        _write(run.path, job, prepared, doubts, choice, calibration, settings)
    return run.path


def _check(settings: Mapping[str, Any]) -> None:
    check_rule(settings)
    for name, pull in settings["calibration"].items():
        if isinstance(pull, bool) or not isinstance(pull, int | float) or not 0 <= pull < np.inf:
            raise UserError(f"calibration.{name}={pull} does not fit; expected a number from 0 on")
    check(settings, stage="train")


def _choice(doubts: Doubts, settings: Mapping[str, Any]) -> Choice:
    """What the rule says; a resumed run keeps what it began with, even where other hardware estimates a little more."""
    note = Path(settings["out"]) / "run.json"
    before = read_json(note).get("remedy") if settings["resume"] and note.exists() else None
    return choose(doubts.facts(), settings) if before is None else Choice(**before)


def _calibrate(out: Path, job: Job, prepared: Prepared, doubts: Doubts, settings: Mapping[str, Any]) -> Calibration:
    """Fit the classifier that was saved to the validation labels as given, and note it in its card."""
    task, trainer, given = prepared.task, settings["trainer"], settings["calibration"]
    offsets = job.loop.strategy.logit_offsets()
    predictor = load_predictor(out)
    raw = predictor.raw(prepared.scans, task.val, device=trainer["device"], precision=trainer["precision"], show=False)
    calibration = fit_calibration(
        raw, task.given[task.val], np.asarray(doubts.believed.transition), pull=given["pull"],
        pull_shifts=None if offsets is None else given["pull_shifts"],
        offsets=None if offsets is None else offsets.cpu().numpy(),
    )  # fmt: skip
    if not calibration.n:
        print("Note: no labelled scan is in the split val, so the probabilities are not calibrated", flush=True)
    write_json(out / CARD, {**read_json(out / CARD), "calibration": calibration.as_record()})
    return calibration


def _write(
    out: Path, job: Job, prepared: Prepared, doubts: Doubts, choice: Choice, calibration: Calibration,
    settings: Mapping[str, Any],
) -> None:  # fmt: skip
    """What finetune writes, its predictions calibrated, and train.json."""
    task, history = prepared.task, job.history
    raw = history.best_test
    history.best_test = calibration.apply(raw).astype(np.float32)
    write_results(out, history, job.gradients.variance(), interval=settings["interval"], seed=settings["seed"],
                  n_seen=prepared.n_seen)  # fmt: skip
    test = measured(task, raw, history.best_test)
    print(
        f"The classifier as it is saved, calibrated: test balanced accuracy {test['balanced_accuracy']:.3f}", flush=True
    )
    write_json(out / "train.json", {
        "noise": doubts.as_record(),
        "remedy": {"name": choice.remedy, "why": choice.why, "strategy": choice.strategy},
        "calibration": calibration.as_record(),
        "test": test,
        "classes": list(task.manifest.classes),
    })  # fmt: skip
