"""A saved classifier and its calibration -> class probabilities of scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssl_robust.classify.calibration import Calibration
from ssl_robust.data.scanset import ScanSet
from ssl_robust.encoders.card import Card
from ssl_robust.finetune.classifier import CARD, Classifier, load_classifier
from ssl_robust.run import UserError, progress
from ssl_robust.training.device import pick_device, pick_precision

_BATCH = 256


@dataclass(frozen=True)
class Predictor:
    """A classifier as it lies on disk, ready to be asked.

    Attributes:
        models: in evaluation mode; their softmax is averaged.
        card: how scans must be prepared.
        classes: names in the order of the columns of a prediction.
        calibration: fitted by `train`; that of a `finetune` run changes nothing.
        facts: the whole of classifier.json.
    """

    models: Sequence[Classifier]
    card: Card
    classes: list[str]
    calibration: Calibration
    facts: dict[str, Any]

    @property
    def is_calibrated(self) -> bool:
        """Whether its probabilities were fitted to labels that it was not trained on."""
        return self.calibration.n > 0

    @torch.inference_mode()
    def raw(self, scans: ScanSet, rows: np.ndarray, *, device: str, precision: str, show: bool) -> np.ndarray:
        """(n, K) float32 probabilities of some scans before calibration.

        Args:
            scans: prepared as the card says.
            rows: (n,) rows of their manifest.
            device: as `pick_device` takes it.
            precision: as `pick_precision` takes it.
            show: progress on the screen.
        """
        place = pick_device(device)
        for model in self.models:
            model.to(place).encoder.autocast = pick_precision(precision, place)  # type: ignore[assignment]
        parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
        shown = progress(parts, total=len(parts), what="prediction batches") if show else parts
        found = []
        for part in shown:
            images = scans.batch(part).images.to(place)
            found.append(torch.stack([model(images).softmax(dim=1) for model in self.models]).mean(dim=0).cpu().numpy())
        return np.concatenate(found) if found else np.empty((0, len(self.classes)), np.float32)


def load_predictor(directory: str | Path) -> Predictor:
    """The `out` of a `train` or `finetune` run -> its classifier.

    Args:
        directory: with classifier.safetensors and classifier.json.

    Raises:
        UserError: there is none, or its card is broken.
    """
    models, facts = load_classifier(directory)
    encoder: Any = models[0].encoder
    try:
        calibration = Calibration.read(facts.get("calibration"))
    except ValueError as error:
        raise UserError(f"{Path(directory) / CARD} {error}; copy the card of the run again") from None
    return Predictor(models, encoder.card, list(facts["classes"]), calibration, facts)
