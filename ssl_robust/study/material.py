"""What the cells of a study share: scans, labels and features, each made once and kept in the study's directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ssl_robust.data.histogram import histogram
from ssl_robust.data.scanset import ScanSet, open_scans
from ssl_robust.data.written import write_table
from ssl_robust.finetune.task import Task, make_task
from ssl_robust.noise.transitions import noise_of
from ssl_robust.run import UserError, read_json, replacing, write_json
from ssl_robust.study.cell_settings import CellSettings, labels_fingerprint, written_fingerprint
from ssl_robust.study.difficulty import measure
from ssl_robust.study.grid import Cell
from ssl_robust.study.inits import HISTOGRAM

if TYPE_CHECKING:
    from ssl_robust.data.manifest import Manifest

_TASKS_KEPT = 64


@dataclass(frozen=True)
class Features:
    """Of all scans of a set.

    Attributes:
        vectors: (N, D) float32, in the order of the manifest.
        facts: encoder_fingerprint, data_fingerprint and n_test_pretrained_on.
    """

    vectors: np.ndarray
    facts: dict[str, Any]


class Material:
    """Opened when it is first asked for.

    Args:
        out: directory of the study.
        settings: of its cells.
    """

    def __init__(self, out: Path, settings: CellSettings) -> None:
        self.out, self.settings = out, settings
        self._scans: dict[str, ScanSet] = {}
        self._tasks: dict[str, Task] = {}
        self._features: tuple[str, Features] | None = None

    def scans(self, source: str) -> ScanSet:
        """The scans of a set as its own options want them, whatever encoder looks at them."""
        if source not in self._scans:
            self._scans[source] = open_scans(self.settings.data(source))
        return self._scans[source]

    def write_set(self, source: str) -> None:
        """sets/<set>/test.csv (sample_id, group as a number, label) and set.json, or check that they are the same.

        Raises:
            UserError: the set is another one than when the study began.
        """
        manifest, home = self.scans(source).manifest, self.out / "sets" / source
        facts = {"data_fingerprint": manifest.fingerprint, "classes": list(manifest.classes)}
        if (home / "set.json").is_file():
            if read_json(home / "set.json")["data_fingerprint"] != facts["data_fingerprint"]:
                raise UserError(f"set {source}: its scans, labels, patients or splits have changed since the study "
                                "began; choose another out=")  # fmt: skip
            return
        rows = manifest.rows("test")
        rows = rows[manifest.codes()[rows] >= 0]
        table = pd.DataFrame(manifest.table.loc[rows, ["sample_id"]])
        table["group"] = manifest.groups()[rows]
        table["label"] = [manifest.classes[code] for code in self._truth(source)[rows]]
        write_table(home / "test.csv", table)
        write_json(home / "set.json", facts)

    def task(self, cell: Cell) -> Task:
        """The labels of a cell: a function of set, noise, rate and seed alone."""
        if cell.labels not in self._tasks:
            if len(self._tasks) >= _TASKS_KEPT:
                self._tasks.clear()
            scans = self.scans(cell.set)
            task = make_task(scans.manifest, self.settings.noise(cell), cell.seed, scans.pixels)
            if not (table := self.label_table(cell)).is_file():
                task.write_labels(table)
            elif written_fingerprint(table) != _fingerprint(task):
                raise UserError(f"{table} holds other labels than this cell would get now, and others were trained "
                                "with them; choose another out=")  # fmt: skip
            self._tasks[cell.labels] = task
        return self._tasks[cell.labels]

    def label_table(self, cell: Cell) -> Path:
        """The file of a cell's labels."""
        return self.out / "labels" / f"{cell.labels}.csv"

    def labels_fingerprint(self, cell: Cell) -> str:
        """Of a cell's labels as given."""
        return _fingerprint(self.task(cell))

    def features(self, name: str) -> Features:
        """Those that `embed` has written.

        Args:
            name: of set and encoder, from `Grid.encoder_name`.
        """
        if self._features is None or self._features[0] != name:
            file = self._feature_file(name)
            about = read_json(file.with_suffix(".json"))
            about.pop("difficulty", None)
            found = Features(np.load(file, allow_pickle=False), about)
            self._features = name, found
        return self._features[1]

    def embed(self, cell: Cell, checkpoint: str) -> None:
        """Compute the features that a cell starts from, unless they are there.

        Args:
            cell: of the grid.
            checkpoint: its encoder.

        Raises:
            UserError: the encoder or the scans cannot be had.
        """
        file = self._feature_file(self.settings.grid.encoder_name(cell))
        if checkpoint == HISTOGRAM:
            scans = self.scans(cell.set)
            facts = {"encoder_fingerprint": HISTOGRAM, "n_test_pretrained_on": None}
            made = {**facts, "data_fingerprint": scans.manifest.fingerprint}
            self._write(cell, file, made, lambda: histogram(scans.pixels))
            return
        self._embed(cell, checkpoint, file)

    def _embed(self, cell: Cell, checkpoint: str, file: Path) -> None:
        from omegaconf import OmegaConf

        from ssl_robust.encoders.fingerprints import count_seen, encoder_fingerprint
        from ssl_robust.encoders.resolve import open_encoder_and_scans
        from ssl_robust.finetune.inputs import frozen_features
        from ssl_robust.training.device import pick_device, pick_precision

        settings = {**self.settings.of_init(cell.set, cell.init), "checkpoint": checkpoint}
        settings["seed"] = self.settings.study["seed"] + self.settings.grid.encoder_number(cell)
        encoder, scans = open_encoder_and_scans(OmegaConf.create(settings))
        device = pick_device(settings["trainer"]["device"])
        encoder.autocast = pick_precision(settings["trainer"]["precision"], device)
        test = scans.manifest.rows("test")
        made = {
            "encoder_fingerprint": encoder_fingerprint(encoder),
            "data_fingerprint": scans.manifest.fingerprint,
            "n_test_pretrained_on": count_seen(checkpoint, scans, test, what="test scans"),
        }
        self._write(
            cell, file, made, lambda: frozen_features(encoder, scans, batch_size=256, device=device, show=True).numpy()
        )

    def _write(self, cell: Cell, file: Path, made: dict[str, Any], compute: Callable[[], np.ndarray]) -> None:
        """Write vectors, what they were made from and how hard the set is in them, unless they are there.

        Raises:
            UserError: those that are there come from another encoder, as may the finished cells.
        """
        about = file.with_suffix(".json")
        known = read_json(about) if about.is_file() and file.is_file() else {}
        if made.items() <= known.items():
            return
        if known.get("encoder_fingerprint", made["encoder_fingerprint"]) != made["encoder_fingerprint"]:
            raise UserError(f"{cell.init} is another encoder than the one that {file} was made by, and finished cells "
                            "with it; choose another out=")  # fmt: skip
        vectors = compute()
        with replacing(file) as temporary:
            np.save(temporary, vectors)
        manifest = self.scans(cell.set).manifest
        rows, truth = manifest.rows("train"), self._truth(cell.set)
        difficulty = measure(vectors[rows], truth[rows], manifest.groups()[rows])
        write_json(about, {**made, "difficulty": {"set": cell.set, "init": cell.init, **difficulty}})

    def _truth(self, source: str) -> np.ndarray:
        """(N,) codes before any noise of the study, -1 = none."""
        manifest = self.scans(source).manifest
        known = manifest.codes("true_label")
        return np.where(known >= 0, known, manifest.codes())

    def _feature_file(self, name: str) -> Path:
        return self.out / "features" / f"{name}.npy"


def _fingerprint(task: Task) -> str:
    names = ["" if code < 0 else task.manifest.classes[code] for code in task.given]
    return labels_fingerprint(task.manifest.table["sample_id"].tolist(), names)


def check_noises(settings: CellSettings, manifests: dict[str, Manifest]) -> None:
    """Refuse a noise that a set cannot have, before anything is computed.

    Args:
        settings: of the cells.
        manifests: by set.

    Raises:
        UserError: the message names set and noise.
    """
    for cell in dict.fromkeys(settings.grid.cells()):
        node = settings.noise(cell)
        values = {name: value for name, value in node.items() if name != "_target_"}
        kind = settings.grid.noises[cell.noise, cell.rate].name
        try:
            noise = noise_of(kind, manifests[cell.set].classes, values)
            if noise.by == "patient" and not manifests[cell.set].has_patients:
                raise ValueError("by=patient, but no patient is known; name the column with data.columns.patient_id=")
        except ValueError as error:
            raise UserError(f"set {cell.set}: noise={kind}: {error}") from None
