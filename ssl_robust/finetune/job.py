"""The parts of one fine-tuning run, put together from its settings, and their way through the epochs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.views import Views
from ssl_robust.encoders.card import Card
from ssl_robust.encoders.checkpoint import describe
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.finetune.classifier import model_maker, save_classifier
from ssl_robust.finetune.gradients import Gradients
from ssl_robust.finetune.history import History
from ssl_robust.finetune.info import believe_features, info_of, train_features
from ssl_robust.finetune.inputs import FeatureInputs, ScanInputs, frozen_features
from ssl_robust.finetune.loop import Loop
from ssl_robust.finetune.strategy import build_strategy
from ssl_robust.finetune.task import Task
from ssl_robust.records import Believed, Crop, TrainInfo
from ssl_robust.run import UserError, append_row, replacing
from ssl_robust.settings import name_of
from ssl_robust.training.device import pick_device, pick_precision
from ssl_robust.training.display import Display
from ssl_robust.training.loggers import make_loggers
from ssl_robust.training.resuming import forget_rows
from ssl_robust.training.state import read_state

# metrics.csv column -> its short name and format on a line
_SHOWN = {
    "loss": "loss {:.4f}",
    "val_balanced_accuracy": "val {:.3f}",
    "test_balanced_accuracy": "test {:.3f}",
    "memorised": "memorised {:.3f}",
}


class Job:
    """The parts of one run, put together from the settings, and their way through the epochs.

    Args:
        settings: of the stage.
        encoder: that training starts from.
        scans: the scans.
        task: the labels.
        info: what the strategy is told, where it is known already; None: found when the strategy asks.
        keep: the epoch whose classifier is kept, best or last; see `History`.
    """

    def __init__(
        self, settings: Mapping[str, Any], encoder: Encoder, scans: ScanSet, task: Task, info: TrainInfo | None = None,
        *, keep: str = "best",
    ) -> None:  # fmt: skip
        self.loggers = make_loggers(settings.get("logger"), settings["out"], settings)
        self.settings, self.scans, self.task, self.encoder = settings, scans, task, encoder
        origin = encoder.card or _card(encoder, scans, settings["checkpoint"])
        # The scans may have been prepared otherwise than those that the encoder learned from.
        self.card = replace(origin, input_size=scans.image_size, resize=scans.resize, weights_dtype="float32")
        self.strategy = name_of("strategy", settings["strategy"])
        self.history = History(task, keep=keep)
        trainer, seed = settings["trainer"], settings["seed"]
        self.gradients = Gradients(
            task.given[task.train], n_epochs=trainer["max_epochs"] if trainer["gradients"] else 0
        )
        device = pick_device(trainer["device"])
        encoder.autocast = pick_precision(trainer["precision"], device)
        try:
            strategy = build_strategy(settings["strategy"])  # first: a wrong option is said before anything is computed
            self.inputs = self._inputs(device)
            make_model = model_maker(
                encoder,
                frozen=settings["freeze"],
                fresh=settings["checkpoint"] == "none",
                n_classes=task.n_classes,
                seed=seed,
            )
            models = strategy.build(make_model)
            strategy.start(info or self._info(device))
            if strategy.said:
                print(strategy.said, flush=True)
            self.loop = Loop(
                strategy,
                models,
                inputs=self.inputs,
                task=task,
                optim=settings["optim"],
                trainer=trainer,
                encoder_lr_scale=settings["encoder_lr_scale"],
                seed=seed,
                device=device,
            )
        except ValueError as error:
            raise UserError(f"an option of strategy, views or optim does not fit: {error}") from error

    def fit(self, out: Path, *, resume: bool) -> None:
        """Train to the last epoch; metrics.csv, last.ckpt and the best classifier in `out` follow every epoch."""
        first = self._restore(out / "last.ckpt") if resume else 0
        forget_rows(out / "metrics.csv", after=first)
        n_epochs, n_train = self.loop.n_epochs, len(self.task.train)
        display = Display(
            first_epoch=first,
            n_epochs=n_epochs,
            scans_per_epoch=n_train,
            shown=_SHOWN,
            enabled=self.settings["trainer"]["progress"],
        )
        try:
            for epoch in range(first, n_epochs):
                display.epoch(self._epoch(epoch, out, display))
        finally:
            display.close()

    def _epoch(self, epoch: int, out: Path, display: Display) -> dict[str, Any]:
        started = time.perf_counter()
        facts = self.loop.epoch(epoch, display)
        with self.gradients.watching(self.loop.models, epoch):
            train = self.loop.predict(self.task.train)
        val, test = (self.loop.predict(rows) for rows in (self.task.val, self.task.test))
        is_best = self.history.add(train, val, test, **facts, seconds=round(time.perf_counter() - started, 2))
        if is_best:
            self._save_classifier(out)
        append_row(out / "metrics.csv", self.history.rows[-1])
        for logger in self.loggers:
            logger.log_metrics(self.history.rows[-1], step=epoch + 1)
        parts = {"loop": self.loop, "history": self.history, "gradients": self.gradients}
        state = {"epoch": epoch + 1, **{name: part.state_dict() for name, part in parts.items()}}
        with replacing(out / "last.ckpt") as temporary:
            torch.save(state, temporary)
        return self.history.rows[-1]

    def _info(self, device: torch.device) -> TrainInfo:
        """What the strategy may know; a frozen encoder has given its features already."""

        @cache
        def believe() -> Believed:
            if isinstance(self.inputs, FeatureInputs):
                vectors = self.inputs.raw(self.task.train)
            else:
                vectors = train_features(self.task, self.encoder, self.scans, self.settings, device)
            return believe_features(self.task, vectors, self.settings)

        return info_of(self.task, self.settings, feature_dim=self.encoder.dim, believe=believe)

    def _inputs(self, device: torch.device) -> ScanInputs | FeatureInputs:
        settings, scans = self.settings, self.scans
        if settings["freeze"]:
            show = settings["trainer"]["progress"]
            vectors = frozen_features(self.encoder, scans, batch_size=256, device=device, show=show)
            return FeatureInputs(vectors, self.task.train, device)
        crop = settings["crop"]

        def make_views(n: int) -> Views:
            return Views(
                crops=[Crop.read({**crop, "n": n})],
                image_size=scans.image_size,
                channels=scans.channels,
                **settings["views"],
            )

        make_views(1)  # an impossible recipe is refused before anything is trained
        return ScanInputs(scans, make_views, device)

    def _save_classifier(self, out: Path) -> None:
        models = self.loop.models
        if isinstance(self.inputs, FeatureInputs):
            models = [self.inputs.whole(model, self.encoder) for model in models]
        save_classifier(models, out, card=self.card, classes=self.task.manifest.classes, strategy=self.strategy)

    def _restore(self, path: Path) -> int:
        """Take over the state of `last.ckpt`; the number of epochs it has done, 0 without one."""
        if not path.exists():
            return 0
        state = read_state(path, device=self.loop.device, holds=("loop", "history", "gradients", "epoch"))
        self.loop.load_state_dict(state["loop"])
        self.history.load_state_dict(state["history"])
        self.gradients.load_state_dict(state["gradients"])
        return state["epoch"]


def _card(encoder: Encoder, scans: ScanSet, checkpoint: str) -> Card:
    """The card of an encoder that comes from no checkpoint of ours."""
    return describe(
        encoder,
        resize=scans.resize,
        method=checkpoint,
        epochs=0,
        n_scans=0,
        data_fingerprint="",
        data_licence="unknown",
    )
