"""The `audit` stage: vectors and labels -> the labels in the order in which an expert should look at them."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ssl_robust.audit.against import described
from ssl_robust.audit.gate import refuse_above
from ssl_robust.audit.labels import Audited, audit_labels
from ssl_robust.audit.material import Material, chosen_checkpoint, read_material
from ssl_robust.audit.options import check_settings
from ssl_robust.audit.reference_run import Reference, keep_embeddings, patients_are_numbers, read_reference
from ssl_robust.audit.summary import in_words, summarize
from ssl_robust.audit.suspects import write_suspects
from ssl_robust.data.agreement import agreement
from ssl_robust.data.audit_table import write_audit_table
from ssl_robust.encoders.places import name_of
from ssl_robust.noise.corruption import Corruption, noise_labels
from ssl_robust.run import Run, read_json, write_json
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
    check_settings(settings)
    if is_finished(settings, stage="audit"):
        refuse_above(config.fail_above, read_json(Path(config.out) / "audit.json"), Path(config.out))
        return Path(config.out)
    reference = None if config.reference is None else read_reference(config.reference)
    started = time.monotonic()
    with Run(config.out, stage="audit", config=settings, resume=config.resume, overwrite=config.overwrite) as run:
        material = read_material(config, reference)
        corruption = _prepared(run, material, settings)
        found = audit_labels(material, corruption, settings, run.path, reference)
        summary = _write(run, found, material, corruption, reference, settings, started)
        _tell(summary, config.checkpoint)
    refuse_above(config.fail_above, summary, run.path)
    return run.path


def _prepared(run: Run, material: Material, settings: dict[str, Any]) -> Corruption:
    """Note what is audited, keep what later audits need, and add noise if asked to."""
    manifest = material.manifest
    run.note(data_fingerprint=manifest.fingerprint, n_scans=len(manifest), unreadable=material.unreadable)
    run.note(encoder=None if material.card is None else asdict(material.card))
    if material.pixels is None:
        run.note(vectors_fingerprint=manifest.source.fingerprint)
    if settings["save_embeddings"]:
        numbered = patients_are_numbers(settings["data"])
        keep_embeddings(run, material.vectors, manifest, encoder=material.encoder, numbered=numbered)
    seen = material.vectors if material.pixels is None else material.pixels
    return noise_labels(manifest, settings["noise"], settings["seed"], seen)


def _write(
    run: Run, found: Audited, material: Material, corruption: Corruption, reference: Reference | None,
    settings: dict[str, Any], started: float,
) -> dict[str, Any]:  # fmt: skip
    """Write the table, the suspects and audit.json; returns the latter."""
    manifest, table = material.manifest, found.table
    write_audit_table(run.path, table, kind=settings["table"])
    elsewhere = None if reference is None else reference.labels_by_id()
    pixels = material.pixels if settings["thumbnails"] else None
    write_suspects(
        run.path, table, pixels, n_suspects=settings["n_suspects"], votes=manifest.votes, elsewhere=elsewhere
    )
    summary = summarize(table, manifest.groups(), classes=manifest.classes, judged=found.judged,
                        interval=settings["bootstrap"], seed=settings["seed"])  # fmt: skip
    noise = None
    if corruption.kind != "none":
        noise = {"kind": corruption.kind, "rate": corruption.rate, "realised_rate": corruption.realised_rate}
    readers = None if manifest.votes is None else agreement(manifest.votes, pd.Series(manifest.table["label"]))
    made = {
        "score": settings["score"]["_target_"].rpartition(".")[2] if reference is None else "knn",
        "neighbors": in_words(found.how),
        "search": found.how,
        "k": found.how["k"],
        "reference": described(reference),
        **{name: settings["neighbors"][name] for name in ("center", "temperature")},
        "groups_used": manifest.has_patients,
        "n_groups": len(np.unique(manifest.groups())) if manifest.has_patients else None,
        "checkpoint": None if settings["checkpoint"] is None else name_of(settings["checkpoint"]),
        "readers": readers,
        "noise": noise,
        "seconds": round(time.monotonic() - started, 2),
    }
    write_json(run / "audit.json", {**summary, **found.counts, **made})
    return {**summary, **found.counts, **made}


def _tell(summary: dict[str, Any], checkpoint: str | None) -> None:
    """The result in a few lines, and what the report says in red."""
    print(f"{summary['n_labelled']:,} labels looked at, {summary['n_flagged']:,} of them suspect", flush=True)
    doubted = summary["n_flagged"] > summary["n_labelled"] / 3
    if summary.get("sentence"):
        sentence = summary["sentence"]
        print(f"If these features are right: {sentence[0].lower()}{sentence[1:]}" if doubted else sentence, flush=True)
    for each in summary["classes"]:
        if each["n"] and not each["judged"]:
            print(f"Note: the {each['n']:,} labels {each['name']!r} cannot be judged: {each['why']}", file=sys.stderr)
    copies = summary.get("duplicates")
    if copies and copies["n_conflicts"]:
        print(f"Note: the same picture under two labels: {copies['n_conflicts']:,} times, see duplicates.csv and the "
              "report", file=sys.stderr)  # fmt: skip
    if doubted:
        unseen = checkpoint in ("default", "none")
        remedy = "pretrain an encoder on your scans" if unseen else "pretrain longer or on more scans"
        print("Note: more than a third of the labels are suspect; it is more likely that these features do not tell "
              f"the classes apart than that so many labels are wrong: {remedy}, and trust the order less",
              file=sys.stderr)  # fmt: skip
    if checkpoint == "none":
        print("Note: checkpoint=none is a random encoder: for comparison only", file=sys.stderr)
