"""Cells on features that were computed once: heads alone are trained, all in one process or a few.

What a cell writes equals what `ssl-robust finetune freeze=true` writes for the same settings, without weights,
checkpoints and dynamics, which would take a hundred times the room of what a study reads.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ssl_robust.data.written import write_table
from ssl_robust.finetune.classifier import head_maker
from ssl_robust.finetune.history import History
from ssl_robust.finetune.info import believe_features, info_of
from ssl_robust.finetune.inputs import FeatureInputs
from ssl_robust.finetune.loop import Loop
from ssl_robust.finetune.results import measures
from ssl_robust.finetune.strategy import build_strategy
from ssl_robust.finetune.task import Task
from ssl_robust.records import Believed
from ssl_robust.run import Run, UserError, write_json
from ssl_robust.study.beginnings import pretrain_seconds
from ssl_robust.study.cell_settings import CellSettings
from ssl_robust.study.finished import clear_away
from ssl_robust.study.grid import Cell, Grid, place
from ssl_robust.study.material import Features, Material
from ssl_robust.training.device import pick_device
from ssl_robust.training.display import Display
from ssl_robust.training.processor import prepare_processor


class FrozenCells:
    """Runs cells one after the other; what neighbours share is computed once.

    Args:
        grid: of the study.
        study: its settings.
        checkpoints: of the beginnings that were pretrained, by name of set and encoder.
    """

    def __init__(self, grid: Grid, study: Mapping[str, Any], checkpoints: Mapping[str, str]) -> None:
        prepare_processor()
        self.grid, self.checkpoints = grid, checkpoints
        self.settings = CellSettings(grid, study)
        self.material = Material(Path(study["out"]), self.settings)
        self._inputs: tuple[str, FeatureInputs] | None = None
        self._believed: tuple[tuple[Any, ...], Believed] | None = None

    def run(self, cell: Cell) -> None:
        """Compute a cell; its directory is whole afterwards, or not in the books.

        Raises:
            UserError: an option does not fit, or the loss is no longer finite.
        """
        started = time.perf_counter()
        name = self.grid.encoder_name(cell)
        checkpoint, task = self.checkpoints.get(name), self.material.task(cell)
        settings = self.settings.of(cell, checkpoint)
        features = self.material.features(name)
        directory = clear_away(place(self.material.out, cell))
        with Run(directory, stage="finetune", config=settings) as run:
            history = self._trained(cell, settings, task, features)
            write_table(run / "metrics.csv", pd.DataFrame(history.rows))
            task.write_predictions(run / "predictions.csv", history.best_test, history.last_correct())
            seen = features.facts["n_test_pretrained_on"]
            interval = settings["interval"]
            write_json(run / "metrics.json", measures(history, interval=interval, seed=cell.seed, n_seen=seen))
            run.note(
                **features.facts,
                cell=cell.facts(),
                labels_fingerprint=self.material.labels_fingerprint(cell),
                pretrain_seconds=pretrain_seconds(settings["checkpoint"]),
                seconds=round(time.perf_counter() - started, 2),
            )

    def _trained(self, cell: Cell, settings: Mapping[str, Any], task: Task, features: Features) -> History:
        """The history of all epochs."""
        loop, history = self._loop(cell, settings, task, features), History(task)
        display = Display(first_epoch=0, n_epochs=loop.n_epochs, scans_per_epoch=len(task.train), shown={},
                          enabled=False)  # fmt: skip
        for epoch in range(loop.n_epochs):
            started = time.perf_counter()
            facts = loop.epoch(epoch, display)
            train, val, test = (loop.predict(rows) for rows in (task.train, task.val, task.test))
            history.add(train, val, test, **facts, seconds=round(time.perf_counter() - started, 3))
        display.close()
        return history

    def _loop(self, cell: Cell, settings: Mapping[str, Any], task: Task, features: Features) -> Loop:
        dim, device = features.vectors.shape[1], pick_device(settings["trainer"]["device"])

        def believe() -> Believed:
            if self._believed is None or self._believed[0] != cell.block:
                self._believed = cell.block, believe_features(task, features.vectors[task.train], settings)
            return self._believed[1]

        try:
            strategy = build_strategy(settings["strategy"])
            models = strategy.build(head_maker(dim, n_classes=task.n_classes, seed=cell.seed))
            strategy.start(info_of(task, settings, feature_dim=dim, believe=believe))
            return Loop(
                strategy,
                models,
                inputs=self._inputs_of(self.grid.encoder_name(cell), task, features, device),
                task=task,
                optim=settings["optim"],
                trainer=settings["trainer"],
                encoder_lr_scale=settings["encoder_lr_scale"],
                seed=cell.seed,
                device=device,
            )
        except ValueError as error:
            raise UserError(f"an option of strategy or optim does not fit: {error}") from error

    def _inputs_of(self, name: str, task: Task, features: Features, device: torch.device) -> FeatureInputs:
        if self._inputs is None or self._inputs[0] != name:
            self._inputs = name, FeatureInputs(torch.from_numpy(features.vectors), task.train, device)
        return self._inputs[1]
