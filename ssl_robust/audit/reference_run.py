"""What an audit keeps so that new scans can be audited against it (`save_embeddings=true`), and reading it again.

embeddings.npy has a row for each of audit.csv; patients.npy a salted hash of each one's patient, whose salt is in
run.json alone; embeddings.json the encoder's fingerprint. An audit of ready vectors needs none of them as long as the
vectors lie where they lay.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.audit.reference import Voters
from ssl_robust.data.audit_table import find_audit_table, read_audit_table
from ssl_robust.data.identifiers import hashed
from ssl_robust.data.manifest import Manifest
from ssl_robust.encoders.embedding_files import VECTORS, read_embeddings
from ssl_robust.encoders.ready_vectors import vectors_fingerprint
from ssl_robust.files import existing
from ssl_robust.run import Run, UserError, read_json, read_run, replacing, write_json

_PATIENTS, _ABOUT, _SALT = "patients.npy", "embeddings.json", "patients_salt"


@dataclass(frozen=True)
class Reference:
    """A finished audit against which others are made.

    Attributes:
        name: of its directory.
        voters: its labelled samples.
        ids: (M,) their ids.
        classes: names, in the order of the voters' codes.
        p_mislabeled: (M,), None where it is not calibrated.
        patients: (M,) texts that stand for patients, NA where unknown.
        salt: with which those were hashed; None: they are as the data name them.
        encoder: fingerprint, where it is known.
    """

    name: str
    voters: Voters
    ids: np.ndarray
    classes: tuple[str, ...]
    p_mislabeled: np.ndarray | None
    patients: pd.Series
    salt: str | None
    encoder: str | None

    def labels_by_id(self) -> dict[str, str]:
        """The label of each of its samples."""
        return {name: self.classes[code] for name, code in zip(self.ids, self.voters.labels, strict=True)}

    def own_groups(self, manifest: Manifest, *, numbered: bool) -> np.ndarray:
        """(N,) the voters' group that a new sample belongs to, its patient's or else its own id's; -1: to none.

        Args:
            manifest: the new samples.
            numbered: whether their patients are numbers that mean nothing outside of their table.
        """
        patients = pd.Series(manifest.table["patient_id"])
        if numbered:
            patients = patients.mask(patients.notna())
        if self.salt is not None:
            salt = bytes.fromhex(self.salt)
            patients = patients.map(lambda name: _hash(name, salt), na_action="ignore").astype("string")
        known = self.patients.notna().to_numpy()
        by_patient = dict(zip(self.patients[known], self.voters.groups[known], strict=True))
        by_id = dict(zip(self.ids, self.voters.groups, strict=True))
        own = patients.map(by_patient).fillna(pd.Series(manifest.table["sample_id"]).map(by_id)).fillna(-1)
        return own.to_numpy(dtype=np.int64)


def keep_embeddings(run: Run, vectors: np.ndarray, manifest: Manifest, *, encoder: str | None, numbered: bool) -> None:
    """Write what a later `reference=` reads.

    Args:
        run: the audit's own.
        vectors: (N, D), row i belongs to row i of the audit's table.
        manifest: of these samples.
        encoder: fingerprint, None for ready vectors of an unknown one.
        numbered: as in `Reference.own_groups`.
    """
    salt = secrets.token_bytes(16)
    run.note(**{_SALT: salt.hex()})
    names = [pd.NA] * len(manifest) if numbered else manifest.table["patient_id"]
    hashes = [0 if pd.isna(name) else int(_hash(str(name), salt), 16) for name in names]
    for name, values in ((VECTORS, vectors), (_PATIENTS, np.array(hashes, dtype=np.uint64))):
        with replacing(run / name) as temporary:
            np.save(temporary, values)
    write_json(run / _ABOUT, {"encoder": encoder})


def read_reference(run: str | Path) -> Reference:
    """A finished audit with its vectors.

    Raises:
        UserError: no finished audit is there, or its vectors are neither in it nor where they were.
    """
    place = existing(run, "reference", folder=True)
    about = read_run(place)
    if about.get("stage") == "embed":
        raise UserError(f"reference={run} is an embed run, which judges no labels; audit it first "
                        f"(data=embeddings data.path={run}) and name that audit")  # fmt: skip
    about = read_run(place, stage="audit")
    file = find_audit_table(place)
    if file is None or not about.get("finished"):
        raise UserError(f"reference={run} is an unfinished audit; end it first, with its own command and resume=true")
    table = read_audit_table(file)
    vectors, patients, salt, encoder = _kept(place, about) or _where_they_were(run, about, table)
    if len(vectors) != len(table):
        raise UserError(
            f"reference={run} holds {len(vectors)} vectors and {len(table)} rows in {file.name}; audit again"
        )
    names = [each["name"] for each in read_json(place / "audit.json")["classes"]]
    return _made(place.resolve().name, table, names, vectors, patients, salt, encoder)


def _made(
    name: str, table: pd.DataFrame, names: list[str], vectors: np.ndarray, patients: pd.Series, salt: str | None,
    encoder: str | None,
) -> Reference:  # fmt: skip
    rows = np.flatnonzero(table["rank"].notna().to_numpy())
    table, patients = table.iloc[rows].reset_index(drop=True), patients.iloc[rows].reset_index(drop=True)
    present = set(table["label"])
    classes = tuple(each for each in names if each in present)
    codes = pd.Index(classes, dtype=object).get_indexer(pd.Index(table["label"].to_numpy(dtype=object), dtype=object))
    groups = pd.factorize(patients)[0]
    groups = np.unique(np.where(groups < 0, len(rows) + np.arange(len(rows)), groups), return_inverse=True)[1]
    p = table["p_mislabeled"].to_numpy(dtype=np.float64, na_value=np.nan) if "p_mislabeled" in table else None
    trust = np.ones(len(rows)) if p is None else 1 - np.where(np.isnan(p), np.nanmean(p) if p.size else 0, p).clip(0, 1)
    voters = Voters(vectors if len(rows) == len(vectors) else vectors[rows], codes, groups, trust, len(classes))
    ids = table["sample_id"].to_numpy(dtype=object)
    return Reference(name, voters, ids, classes, p, patients, salt, encoder)


def _kept(place: Path, about: dict[str, Any]) -> tuple[np.ndarray, pd.Series, str | None, str | None] | None:
    """What `keep_embeddings` wrote; None where nothing was kept."""
    if not (place / _PATIENTS).is_file():
        return None
    vectors, hashes = (np.load(place / name, mmap_mode="r", allow_pickle=False) for name in (VECTORS, _PATIENTS))
    patients = pd.Series([f"{value:016x}" if value else pd.NA for value in hashes.tolist()], dtype="string")
    return vectors, patients, str(about[_SALT]), read_json(place / _ABOUT).get("encoder")


def _where_they_were(
    run: str | Path, about: dict[str, Any], table: pd.DataFrame
) -> tuple[np.ndarray, pd.Series, str | None, str | None]:
    """The vectors that the audit was made of, if they are the same still."""
    data = about["config"]["data"]
    if not str(data.get("_target_")).endswith(".read_embeddings"):
        raise UserError(f"reference={run} has not kept the vectors of its scans; audit them again with "
                        "save_embeddings=true")  # fmt: skip
    try:
        found = read_embeddings(data["path"], data["labels"], columns=data["columns"])
    except UserError as error:
        raise UserError(f"the vectors of reference={run} are no longer there ({error}); audit them again with "
                        "save_embeddings=true, which keeps them") from None  # fmt: skip
    same = found.samples["sample_id"].tolist() == table["sample_id"].tolist()
    if not same or about.get("vectors_fingerprint", "") not in ("", vectors_fingerprint(found.vectors)):
        raise UserError(f"{data['path']} holds other vectors than when reference={run} was made; audit them again, "
                        "with save_embeddings=true to keep them")  # fmt: skip
    patients = pd.Series(found.samples["patient_id"])
    if patients_are_numbers(data):
        patients = patients.mask(patients.notna())
    return found.vectors, patients, None, encoder_of(data)


def patients_are_numbers(data: dict[str, Any]) -> bool:
    """Whether patients come from the table of an embed run, which numbers them: another table has other numbers."""
    return str(data.get("_target_")).endswith(".read_embeddings") and data.get("labels") is None


def encoder_of(data: dict[str, Any]) -> str | None:
    """The fingerprint of the encoder that made ready vectors, where these lie in an embed run."""
    file = Path(str(data.get("path"))).expanduser() / _ABOUT
    return read_json(file).get("encoder") if file.is_file() else None


def _hash(name: str, salt: bytes) -> str:
    return hashed(name, salt, b"patient")[:16]
