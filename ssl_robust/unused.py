"""Options that were given and that this run will not read: said before the work starts, not found out afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssl_robust.overrides import required_groups
from ssl_robust.run import UserError
from ssl_robust.settings import compose
from ssl_robust.stages import STAGES

if TYPE_CHECKING:
    from omegaconf import DictConfig

_ENCODER = ("encoder", "encoder_args")
_OF_CELLS = ("exact_seconds", "products_per_second", "recall", "ivf")
_OTHER_SPLITS = {  # what stages that do not read data.split do instead
    "check": "takes every scan",
    "embed": "takes every scan",
    "audit": "takes every scan",
    "convert": "takes every scan",
    "finetune": "trains on train and measures on test",
    "train": "trains on train and measures on test",
    "predict": "takes every scan",
    "probe": "fits on train and measures on test",
}
_OF_VIEWS = ("views", "crop", "encoder_lr_scale")


def unread(stage: str, config: DictConfig, overrides: Sequence[str]) -> list[str]:
    """One sentence per option that differs from its default and that nothing will read.

    Args:
        stage: name of the stage.
        config: what will run.
        overrides: what it was composed with.

    Raises:
        UserError: the option contradicts the checkpoint, so that the user expects another run than this one.
    """
    required = [each for each in overrides if each.partition("=")[0] in required_groups(stage)]
    usual = compose(stage, required)
    changed = [name for name in (*_ENCODER, *_OF_VIEWS) if name in config and config[name] != usual[name]]
    if config.get("launcher") and not STAGES[stage].launches:
        raise UserError("launcher= starts the runs of a sweep, a single one runs here; add -m, or take launcher= away")
    scans_alone = stage == "audit" and "image_size" in config.data  # the encoder that ships is taken for them
    checkpoint = config.get("checkpoint") or ("default" if scans_alone else "none")
    for name in _ENCODER:
        if checkpoint not in ("none", "imagenet") and name in changed:
            raise UserError(
                f"{name}= is read with checkpoint=none and checkpoint=imagenet only, the card of "
                f"checkpoint={checkpoint} says what its encoder is; take {name}= away"
            )
    notes = []
    if stage in _OTHER_SPLITS and config.data.get("split", "train") != "train":
        what = f"is read by pretrain and views only, {stage} {_OTHER_SPLITS[stage]}"
        notes.append(f"data.split={config.data.split} {what}")
    if config.get("freeze"):
        notes += [f"{name}= changes nothing with freeze=true" for name in _OF_VIEWS if name in changed]
    if "neighbors" in config and config.neighbors.index == "exact":
        notes += [
            f"neighbors.{name}= changes nothing where every sample is compared with every other one"
            for name in _OF_CELLS if config.neighbors[name] != usual.neighbors[name]
        ]  # fmt: skip
    return notes
