"""The `predict` stage: a saved classifier and new scans -> their classes, and what an expert should see."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from ssl_robust.classify.abstain import check_share, least_sure
from ssl_robust.classify.predictor import Predictor, load_predictor
from ssl_robust.classify.results import described
from ssl_robust.data.manifest import Manifest
from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.written import write_table
from ssl_robust.encoders.resolve import open_scans_as
from ssl_robust.files import existing
from ssl_robust.run import Run, UserError, write_json
from ssl_robust.training.processor import prepare_processor
from ssl_robust.training.resuming import is_finished

if TYPE_CHECKING:
    from omegaconf import DictConfig


def predict(config: DictConfig) -> Path:
    """Write predictions.csv and predict.json.

    Args:
        config: composed from `configs/predict.yaml`.

    Returns:
        The run directory.

    Raises:
        UserError: there is no classifier, the scans do not fit it, or an option does not fit.
    """
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    check_share(settings["abstain"])
    if is_finished(settings, stage="predict"):
        return Path(config.out)
    prepare_processor()
    predictor = load_predictor(existing(settings["classifier"], "classifier", folder=True))
    run = Run(config.out, stage="predict", config=settings, resume=config.resume, overwrite=config.overwrite)
    scans = _open_scans(predictor, config)
    rows = np.arange(len(scans))
    raw = predictor.raw(scans, rows, device=config.device, precision=config.precision, show=True)
    probabilities = predictor.calibration.apply(raw)
    left = least_sure(probabilities, settings["abstain"])
    labels = known_labels(scans.manifest, predictor.classes)
    table = _table(scans.manifest, labels, probabilities, left, predictor.classes)
    summary = _summary(probabilities, left, labels, predictor)
    with run:
        run.note(data_fingerprint=scans.manifest.fingerprint, n_scans=len(scans), unreadable=scans.unreadable)
        write_table(run / "predictions.csv", table)
        write_json(run / "predict.json", summary)
    _say(summary, predictor)
    return run.path


def known_labels(manifest: Manifest, classes: list[str]) -> np.ndarray:
    """(N,) positions in `classes` of the true labels, or of the given ones where these are unknown; -1 = none."""
    codes = np.where(manifest.codes("true_label") >= 0, manifest.codes("true_label"), manifest.codes())
    place = {name: code for code, name in enumerate(classes)}
    strange = sorted({manifest.classes[code] for code in np.unique(codes[codes >= 0])} - set(place))
    if strange:
        print(f"Note: the classifier does not know the {'label' if len(strange) == 1 else 'labels'} "
              f"{', '.join(map(repr, strange))}; it knows {', '.join(classes)}, and names one of these for every "
              "scan, whatever it shows", flush=True)  # fmt: skip
    here = np.array([place.get(name, -1) for name in manifest.classes] + [-1])
    return here[codes]


def _open_scans(predictor: Predictor, config: DictConfig) -> ScanSet:
    """The scans as the card says, and no others: a classifier means what it was measured on."""
    scans, card = open_scans_as(predictor.card, config.data), predictor.card
    for option, learned, here in (
        ("channels", card.in_chans, scans.channels),
        ("image_size", card.input_size, scans.image_size),
    ):
        if learned != here:
            raise UserError(f"classifier={config.classifier} was trained with data.{option}={learned}, and "
                            f"data.{option}={here} was asked for; leave data.{option} at auto")  # fmt: skip
    scans.say_found()
    return scans


def _table(
    manifest: Manifest, labels: np.ndarray, probabilities: np.ndarray, left: np.ndarray, classes: list[str]
) -> pd.DataFrame:
    """A row for each scan, in the order of the data."""
    names = np.array([*classes, None], dtype=object)
    table = pd.DataFrame({"sample_id": manifest.table["sample_id"], "predicted": names[probabilities.argmax(axis=1)]})
    table["probability"] = probabilities.max(axis=1).round(6)
    table["abstained"] = left
    if (labels >= 0).any():
        table["label"] = names[labels]
    for code, name in enumerate(classes):
        table[f"p_{name}"] = probabilities[:, code].round(6)
    return table


def _summary(probabilities: np.ndarray, left: np.ndarray, labels: np.ndarray, predictor: Predictor) -> dict[str, Any]:
    """predict.json."""
    predicted, known = probabilities.argmax(axis=1), labels >= 0
    counts = np.bincount(predicted, minlength=len(predictor.classes))
    answered = probabilities[~left].max(axis=1)
    return {
        "n": len(predicted),
        "classes": [{"name": name, "n": int(n)} for name, n in zip(predictor.classes, counts, strict=True)],
        "n_abstained": int(left.sum()),
        "threshold": float(answered.min()) if len(answered) else None,
        "is_calibrated": predictor.is_calibrated,
        "strategy": predictor.facts.get("strategy"),
        "measured": described(labels[known], probabilities[known]) if known.any() else None,
    }


def _say(summary: dict[str, Any], predictor: Predictor) -> None:
    shares = ", ".join(f"{each['name']} {each['n']:,}" for each in summary["classes"])
    print(f"{summary['n']:,} scans: {shares}", flush=True)
    if summary["n_abstained"]:
        said = f"{summary['n_abstained']:,} are left to an expert, the least sure"
        if summary["threshold"] is not None:
            said += (
                f"; the others' class has a probability of {math.floor(100 * summary['threshold']) / 100:.2f} or more"
            )
        print(said, flush=True)
    if not predictor.is_calibrated:
        print("Note: this classifier was not calibrated, so its probabilities are probably too high; `ssl-robust "
              "train` calibrates", flush=True)  # fmt: skip
    if summary["measured"]:
        print(f"Balanced accuracy {summary['measured']['balanced_accuracy']:.3f} on the "
              f"{summary['measured']['n']:,} of them that have a label (right or wrong)", flush=True)  # fmt: skip
