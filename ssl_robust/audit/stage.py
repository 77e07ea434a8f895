"""The `audit` stage: vectors and labels -> the labels in the order in which an expert should look at them."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ssl_robust import neighbors
from ssl_robust.audit.against import against, check_options, described
from ssl_robust.audit.gate import check_limit, refuse_above
from ssl_robust.audit.material import Material, chosen_checkpoint, read_material
from ssl_robust.audit.reference_run import Reference, keep_embeddings, patients_are_numbers, read_reference
from ssl_robust.audit.summary import in_words, summarize
from ssl_robust.audit.suspects import write_suspects
from ssl_robust.audit.table import ranked
from ssl_robust.data.agreement import agreement
from ssl_robust.data.audit_table import check_kind, write_audit_table
from ssl_robust.data.votes import as_columns, share_of_readers
from ssl_robust.encoders.places import name_of
from ssl_robust.noise.corruption import Corruption, noise_labels
from ssl_robust.run import Run, UserError, read_json, write_json
from ssl_robust.training.resuming import is_finished

if TYPE_CHECKING:
    from omegaconf import DictConfig


def audit(config: DictConfig) -> Path:
    """Write audit.csv (or .parquet), audit.json and what the report shows.

    Args:
        config: composed from `configs/audit.yaml`.

    Returns:
        The run directory.

    Raises:
        UserError: a mistake in the options or the data.
        AboveLimit: the run is complete and holds more wrong labels than `fail_above` allows.
    """
    from omegaconf import OmegaConf

    config.checkpoint = chosen_checkpoint(config)
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    _check(settings)
    if is_finished(settings, stage="audit"):
        refuse_above(config.fail_above, read_json(Path(config.out) / "audit.json"), Path(config.out))
        return Path(config.out)
    reference = None if config.reference is None else read_reference(config.reference)
    started = time.monotonic()
    with Run(config.out, stage="audit", config=settings, resume=config.resume, overwrite=config.overwrite) as run:
        material = read_material(config, reference)
        manifest = material.manifest
        run.note(data_fingerprint=manifest.fingerprint, n_scans=len(manifest), unreadable=material.unreadable)
        run.note(encoder=None if material.card is None else asdict(material.card))
        if material.pixels is None:
            run.note(vectors_fingerprint=manifest.source.fingerprint)
        if config.save_embeddings:
            numbered = patients_are_numbers(settings["data"])
            keep_embeddings(run, material.vectors, manifest, encoder=material.encoder, numbered=numbered)
        seen = material.vectors if material.pixels is None else material.pixels
        corruption = noise_labels(manifest, settings["noise"], config.seed, seen)
        table, how = _ranked(material, corruption, settings, run.path, reference)
        write_audit_table(run.path, table, kind=config.table)
        elsewhere = None if reference is None else reference.labels_by_id()
        write_suspects(run.path, table, material.pixels, n_suspects=config.n_suspects, votes=manifest.votes,
                       elsewhere=elsewhere)  # fmt: skip
        summary = summarize(
            table, manifest.groups(), classes=manifest.classes, interval=settings["bootstrap"], seed=config.seed
        )
        noise = None
        if corruption.kind != "none":
            noise = {"kind": corruption.kind, "rate": corruption.rate, "realised_rate": corruption.realised_rate}
        method = {
            "neighbors": in_words(how),
            "search": how,
            "k": _most_voters(corruption.labels >= 0, manifest.groups(), settings["neighbors"]["k"])
            if reference is None
            else min(settings["neighbors"]["k"], len(reference.ids)),
            "reference": described(reference),
            **{name: settings["neighbors"][name] for name in ("center", "temperature")},
            "groups_used": manifest.has_patients,
            "n_groups": len(np.unique(manifest.groups())) if manifest.has_patients else None,
            "checkpoint": None if config.checkpoint is None else name_of(config.checkpoint),
        }
        seconds = round(time.monotonic() - started, 2)
        readers = None if manifest.votes is None else agreement(manifest.votes, pd.Series(manifest.table["label"]))
        about = {"readers": readers, "noise": noise, "seconds": seconds}
        write_json(run / "audit.json", {**summary, **method, **about})
        print(f"{summary['n_labelled']:,} labels looked at, {summary['n_flagged']:,} of them suspect", flush=True)
        _warn(summary, config.checkpoint)
    refuse_above(config.fail_above, read_json(run / "audit.json"), run.path)
    return run.path


def _warn(summary: dict[str, Any], checkpoint: str | None) -> None:
    """What the report says in red belongs on the screen, too."""
    if summary["n_flagged"] > summary["n_labelled"] / 3:
        unseen = checkpoint in ("default", "none")
        remedy = "pretrain an encoder on your scans" if unseen else "pretrain longer or on more scans"
        print("Note: more than a third of the labels are suspect; it is more likely that these features do not tell "
              f"the classes apart than that so many labels are wrong: {remedy}, and trust the order less",
              file=sys.stderr)  # fmt: skip
    if checkpoint == "none":
        print("Note: checkpoint=none is a random encoder: for comparison only", file=sys.stderr)


def _most_voters(labelled: np.ndarray, groups: np.ndarray, k: int) -> int:
    """How many scans can judge one: `k`, or all labelled ones outside of the smallest group."""
    sizes = np.unique(groups[labelled], return_counts=True)[1]
    return int(min(k, sizes.sum() - sizes.min()))


def _check(settings: dict[str, Any]) -> None:
    for name, value in (("neighbors.k", settings["neighbors"]["k"]),
                        ("neighbors.temperature", settings["neighbors"]["temperature"]),
                        ("batch_size", settings["batch_size"])):  # fmt: skip
        if value <= 0:
            raise UserError(f"{name}={value} is not positive; give a number above zero")
    _check_search(settings["neighbors"])
    check_options(settings)
    check_kind(settings["table"])
    check_limit(settings["fail_above"])
    if settings["reference_sample"] < 1:
        raise UserError(f"reference_sample={settings['reference_sample']} does not fit; give at least 1, e.g. 2000")
    for name in ("n_suspects", "n_neighbors"):
        if settings[name] < 0:
            raise UserError(f"{name}={settings[name]} is negative; give a number from zero")
    bootstrap = settings["bootstrap"]
    if bootstrap["n_resamples"] < 1:
        raise UserError(f"bootstrap.n_resamples={bootstrap['n_resamples']} does not fit; give at least 1, e.g. 200")
    if not 0 < bootstrap["level"] < 1:
        raise UserError(f"bootstrap.level={bootstrap['level']} does not fit; expected a share, e.g. 0.95")


def _check_search(chosen: dict[str, Any]) -> None:
    if chosen["index"] not in neighbors.INDEXES:
        *others, last = neighbors.INDEXES
        expected = f"{', '.join(others)} or {last}"
        raise UserError(f"neighbors.index={chosen['index']} is not known; expected {expected}")
    if not 0 < chosen["recall"] <= 1:
        raise UserError(f"neighbors.recall={chosen['recall']} does not fit; expected a share above 0, e.g. 0.95")
    for name, value in (("products_per_second", chosen["products_per_second"]),
                        *((f"ivf.{name}", value) for name, value in chosen["ivf"].items())):  # fmt: skip
        if value <= 0:
            raise UserError(f"neighbors.{name}={value} is not positive; give a number above zero")
        if name.startswith("ivf.") and name != "ivf.cells_per_root" and not isinstance(value, int):
            raise UserError(f"neighbors.{name}={value} does not fit; expected a whole number")


def _ranked(
    material: Material, corruption: Corruption, settings: dict[str, Any], out: Path, reference: Reference | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The audit table and how neighbours were found.

    It has `path`; where there were several readers `agreement`, the share of those who looked that gave the label, and
    what each gave; `is_wrong`, where the truth of any label is known.
    """
    manifest = material.manifest
    given, classes = corruption.labels, list(manifest.classes)
    try:
        if reference is not None:
            numbered = patients_are_numbers(settings["data"])
            table, how = against(reference, material.vectors, manifest, given, settings=settings, numbered=numbered)
        else:
            table, how = ranked(
                material.vectors,
                pd.Categorical.from_codes(given, classes),
                groups=manifest.groups(),
                ids=manifest.table["sample_id"].to_numpy(dtype=object),
                n_neighbors=settings["n_neighbors"],
                seed=settings["seed"],
                settings=settings["neighbors"],
                out=out,
            )
    except ValueError as error:
        raise UserError(f"the audit cannot be made: {error}") from None
    table = table.astype({"label": "string", "suggested_label": "string"})
    table.insert(1, "path", manifest.table["path"])
    if manifest.votes is not None:
        table["agreement"] = share_of_readers(manifest.votes, pd.Series(table["label"])).round(6)
        table = table.join(as_columns(manifest.votes))
    truth = manifest.codes("true_label")
    if corruption.kind != "none":
        truth = np.where(truth >= 0, truth, manifest.codes())
    known = (truth >= 0) & (given >= 0)
    if known.any():
        table["is_wrong"] = pd.array(given != truth, dtype="boolean")
        table.loc[~known, "is_wrong"] = pd.NA
    return table, how
