"""The `probe` stage: an encoder and labelled scans -> how good its features are, beside two baselines."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ssl_robust import spectra
from ssl_robust.data.written import write_table
from ssl_robust.encoders.places import name_of
from ssl_robust.run import Run, UserError, write_json
from ssl_robust.training.resuming import is_finished
from ssl_robust.transfer import words
from ssl_robust.transfer.checks import mistake_in
from ssl_robust.transfer.material import Material, read_material
from ssl_robust.transfer.results import Results, compare

if TYPE_CHECKING:
    from omegaconf import DictConfig


def probe(config: DictConfig) -> Path:
    """Write probe.csv, predictions.csv and probe.json.

    Args:
        config: composed from `configs/probe.yaml`.

    Returns:
        The run directory.

    Raises:
        UserError: a mistake in the options or the data.
    """
    from omegaconf import OmegaConf

    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if mistake := mistake_in(settings):
        raise UserError(mistake)
    if is_finished(settings, stage="probe"):
        return Path(config.out)
    started = time.monotonic()
    with Run(config.out, stage="probe", config=settings, resume=config.resume, overwrite=config.overwrite) as run:
        material = read_material(config)
        manifest = material.manifest
        run.note(data_fingerprint=manifest.fingerprint, n_scans=len(manifest), unreadable=material.unreadable)
        run.note(n_test_pretrained_on=material.n_seen, encoder=None if material.card is None else asdict(material.card))
        results = compare(material.features, material.problem, settings=settings)
        write_table(run / "probe.csv", results.table())
        write_table(run / "predictions.csv", _predictions(material, results))
        summary = _summary(material, results, settings)
        write_json(run / "probe.json", {**summary, "seconds": round(time.monotonic() - started, 2)})
        _say(summary, results)
    return run.path


def _summary(material: Material, results: Results, settings: dict[str, Any]) -> dict[str, Any]:
    """probe.json: everything that is in the table, and what it was measured on."""
    problem, manifest, corruption = material.problem, material.manifest, material.corruption
    n_groups = {name: len(np.unique(problem.groups[rows])) for name, rows in (("train", problem.train),
                                                                             ("test", problem.test))}  # fmt: skip
    checkpoint, unit = settings["checkpoint"], "patients" if manifest.has_patients else "samples"
    noise = None
    if corruption.kind != "none":
        wrong = float(np.mean(corruption.flipped[problem.train]))
        noise = {"kind": corruption.kind, "rate": corruption.rate, "realised_rate": wrong}
    return {
        "checkpoint": None if checkpoint is None else name_of(checkpoint),
        "architecture": material.architecture,
        "conclusions": words.conclusions(results.rows, settings["bootstrap"]["level"]),
        "cautions": words.cautions(
            n_test_groups=n_groups["test"], unit=unit, is_random=checkpoint == "none",
            has_baselines=len(material.features) > 1,
            trained_on=() if material.card is None else material.card.trained_on,
        ),
        "scarcities": words.scarcities(results.protocols, manifest.classes),
        "noise": noise,
        "n_test_pretrained_on": material.n_seen,
        "n_train": len(problem.train),
        "n_test": len(problem.test),
        "n_train_patients": n_groups["train"],
        "n_test_patients": n_groups["test"],
        "unit": unit,
        "classes": [
            {"name": name, "n_train": int((problem.given[problem.train] == code).sum()),
             "n_test": int((problem.truth[problem.test] == code).sum())}
            for code, name in enumerate(manifest.classes)
        ],
        "effective_rank": {
            name: spectra.effective_rank(vectors[problem.test]) for name, vectors in material.features.items()
        },
        "dimensions": {name: vectors.shape[1] for name, vectors in material.features.items()},
        "interval": {**settings["bootstrap"], "of": f"the {unit} in test, the classifiers staying as they are"},
        "protocols": [protocol.describe(problem) for protocol in results.protocols],
        "draws": [{"features": name, "protocol": protocol, words.MEASURE: values}
                  for (name, protocol), values in results.draws.items() if len(values) > 1],
        "rows": results.rows,
    }  # fmt: skip


def _predictions(material: Material, results: Results) -> pd.DataFrame:
    """A row per test sample, features and protocol that uses all labels."""
    problem, classes = material.problem, np.asarray(material.manifest.classes, dtype=object)
    ids = material.manifest.table["sample_id"].iloc[problem.test].to_numpy(dtype=object)
    parts = []
    for (name, protocol), drawn in results.probabilities.items():
        if protocol.startswith("few"):
            continue
        chances = drawn[0]
        part = pd.DataFrame({"sample_id": ids, "features": name, "protocol": protocol})
        part["label"], part["predicted"] = classes[problem.truth[problem.test]], classes[chances.argmax(axis=1)]
        parts.append(part.join(pd.DataFrame(chances.round(6), columns=[f"p_{each}" for each in classes])))
    return pd.concat(parts, ignore_index=True)


def _say(summary: dict[str, Any], results: Results) -> None:
    level, unit = summary["interval"]["level"], summary["unit"]
    of_patients = f" of {summary['n_test_patients']:,} patients" if unit == "patients" else ""
    print(f"\nBalanced accuracy on {summary['n_test']:,} test samples{of_patients}, "
          f"{100 * level:g} % intervals over {unit}", *words.lines(results.rows), sep="\n  ")  # fmt: skip
    print("With the logistic probe on all labels:" if summary["conclusions"] else "", *summary["conclusions"],
          sep="\n  ", flush=True)  # fmt: skip
    for note in (*summary["cautions"], *summary["scarcities"]):
        print(f"Note: {note}", file=sys.stderr)
