"""The card of a checkpoint: what is needed to use the weights rightly without this project."""

from __future__ import annotations

import math
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ssl_robust.run import UserError, read_json, write_json

FILE = "encoder.json"
SNAPSHOTS = "snapshots"  # in a pretrain run: a folder for each kept encoder that training passed through
WEIGHT_TYPES = ("float32", "float16")
_LARGEST_SIDE = 4096  # px, as for data.image_size
_MOST = 2**14  # of channels, layers, widths: more than any model has


@dataclass(frozen=True)
class Card:
    """How scans must be prepared for an encoder, and where its weights come from; no path, no identifier.

    Attributes:
        architecture: timm's name.
        in_chans: channels of the scans, 1 or 3.
        input_size: side of the scans in pixels.
        mean: per-channel means that the input is normalised with, of values in [0, 1].
        std: per-channel standard deviations, likewise.
        model_args: what `timm.create_model` needs besides name, `num_classes=0` and `in_chans`.
        scaling: how stored values map to [0, 1].
        resize: how scans reach `input_size`: pad or squash.
        method: the self-supervised method; "none" for random, "imagenet" for timm's weights, "elsewhere" for others'.
        epochs: epochs of pretraining.
        n_scans: scans that it was pretrained on.
        data_fingerprint: hash of the set that they are from, with its labels and splits.
        data_licence: licence of those scans, as the user states it.
        version: version of ssl-robust that wrote the card.
        weights_dtype: type in which the file holds kernels and matrices; they are computed with as float32.
        trained_on: names of the sets of scans, in words.
        training_command: the command that trained it, without paths.
        starts_from: what training began with, in words; "" for new weights.
        window: which stored values of files became black and white: a rule, or the lowest and the highest one.
        transfer: measured on other scans; a row is one measurement, `{"set": "blood cells", "balanced accuracy": 0.9}`.
    """

    architecture: str
    in_chans: int
    input_size: int
    mean: list[float]
    std: list[float]
    model_args: dict[str, Any]
    scaling: str
    resize: str
    method: str
    epochs: int
    n_scans: int
    data_fingerprint: str
    data_licence: str
    version: str
    weights_dtype: str = "float32"
    trained_on: list[str] = field(default_factory=list)
    training_command: str = ""
    starts_from: str = ""
    transfer: list[dict[str, Any]] = field(default_factory=list)
    window: str | list[float] = "auto"

    def in_words(self) -> str:
        """What it is and what it learned from: "resnet10t for RGB scans of 64 px; simclr on 9,000 scans (…)"."""
        kinds = {1: "grey scans", 3: "RGB scans"}
        kind = kinds.get(self.in_chans, f"scans of {self.in_chans} channels")
        method = "trained elsewhere" if self.method == "elsewhere" else self.method
        origin = method + (f" on {self.n_scans:,} scans" if self.n_scans else "")
        sets = f" ({', '.join(self.trained_on)})" if self.trained_on else ""
        return f"{self.architecture} for {kind} of {self.input_size} px; {origin}{sets}"


def write_card(card: Card, directory: str | Path) -> None:
    """Write `encoder.json` into `directory`, atomically."""
    write_json(Path(directory) / FILE, asdict(card))


def read_card(directory: str | Path) -> Card:
    """The card in `directory`.

    Raises:
        UserError: it is missing, not JSON, or lacks what is needed to build the encoder.
    """
    path = Path(directory) / FILE
    if not path.is_file():
        raise UserError(f"{path} is missing; the card must lie beside encoder.safetensors, copy both files")
    return parse_card(read_json(path), path)


def parse_card(values: Any, path: Path) -> Card:
    """A card as JSON holds it -> the card.

    Args:
        values: what was read.
        path: where it was read, for messages.

    Raises:
        UserError: it lacks what is needed to build the encoder, or a value is impossible.
    """
    if not isinstance(values, dict):
        raise UserError(f"{path} is no card (expected a JSON object); copy the card of the run again")
    known = {each.name for each in fields(Card)}
    needed = {each.name for each in fields(Card) if each.default is MISSING and each.default_factory is MISSING}
    missing = sorted(needed - set(values))
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}; copy the whole card of the run again")
    card = Card(**{name: values[name] for name in known & set(values)})  # another version may know other facts
    _check(card, path)
    return card


def _check(card: Card, path: Path) -> None:
    problems = {
        "in_chans": isinstance(card.in_chans, int) and 0 < card.in_chans <= _MOST,
        "input_size": isinstance(card.input_size, int) and 0 < card.input_size <= _LARGEST_SIDE,
        "mean": _are_numbers(card.mean, card.in_chans),
        "std": _are_numbers(card.std, card.in_chans) and all(value > 0 for value in card.std),
        "model_args": isinstance(card.model_args, dict) and _are_modest(card.model_args),
        "architecture": isinstance(card.architecture, str),
        "n_scans": isinstance(card.n_scans, int),
        "weights_dtype": card.weights_dtype in WEIGHT_TYPES,
        "trained_on": isinstance(card.trained_on, list) and all(isinstance(each, str) for each in card.trained_on),
        "window": isinstance(card.window, str) or _are_numbers(card.window, 2),
        "transfer": isinstance(card.transfer, list) and all(isinstance(each, dict) for each in card.transfer),
    }
    wrong = [name for name, fits in problems.items() if not fits]
    if wrong:
        raise UserError(f"{path} has an impossible {wrong[0]} ({getattr(card, wrong[0])}); copy the file again")


def _are_numbers(values: Any, n: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) == n
        and all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)
    )


def _are_modest(values: Any) -> bool:
    """Whether no number is so large that building the model would never end."""
    if isinstance(values, dict):
        return all(map(_are_modest, values.values()))
    if isinstance(values, list):
        return all(map(_are_modest, values))
    return not isinstance(values, (int, float)) or abs(values) <= _MOST
