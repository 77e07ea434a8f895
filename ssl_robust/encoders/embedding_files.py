"""Vectors and their samples on disk, read and written without torch.

`embeddings.npy` is (N, D) float32 and `samples.csv` has N lines; row i of both is the same scan. Vectors of any other
model come as an .npy file and a CSV of labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_robust.data.columns import pick, read_table
from ssl_robust.data.votes import COLUMN, as_columns
from ssl_robust.data.written import write_table
from ssl_robust.files import UserError, existing
from ssl_robust.records import Embeddings
from ssl_robust.run import read_run

VECTORS = "embeddings.npy"
SAMPLES = "samples.csv"
COLUMNS = ("sample_id", "path", "label", "patient_id", "split", "true_label")
_CHUNK = 65536  # rows looked at together


def write_samples(samples: pd.DataFrame, directory: str | Path, *, votes: pd.DataFrame | None = None) -> None:
    """Write `samples.csv`, in the order given; columns of which nothing is known are left out.

    Patients are numbered, as they are used for grouping only.

    Args:
        samples: of a manifest.
        directory: where to.
        votes: (N, R) labels of several readers, each of whom gets a column.
    """
    if "patient_id" in samples:
        patients = pd.Series(pd.factorize(samples["patient_id"])[0], index=samples.index)
        samples = samples.assign(patient_id=patients.astype("string").mask(patients < 0))
    known = ["sample_id", *(name for name in COLUMNS[1:] if name in samples and samples[name].notna().to_numpy().any())]
    table = pd.DataFrame(samples[known])
    write_table(Path(directory) / SAMPLES, table if votes is None else table.join(as_columns(votes)))


def read_embeddings(
    path: str | Path,
    labels: str | Path | None = None,
    *,
    columns: Mapping[str, str | Sequence[str] | None] | None = None,
) -> Embeddings:
    """Vectors and samples from a run directory of `embed`, or from an .npy file and a CSV.

    Args:
        path: the run directory, or a file with (N, D) numbers.
        labels: table with one line per vector, line i for vector i; None takes the run's own `samples.csv`, and for a
            file leaves everything but the ids unknown.
        columns: how that table names `sample_id, path, label, patient_id, split, true_label`; None = by these names.
            Ids default to the row number.

    Returns:
        Memory-mapped float32 vectors (another type of number is converted) and all six columns, NA where unknown; of a
        run also the readers' votes, see `from_columns`.

    Raises:
        UserError: a file is missing or no table of numbers, the lengths differ (the message states both), an id
            occurs twice, or a vector holds NaN or infinity (the message names the first).
    """
    place = Path(path).expanduser()
    samples = None
    if place.is_dir():
        read_run(place, stage="embed")
        if not (place / VECTORS).is_file():
            raise UserError(f"{place} is an unfinished embed run; continue it with the same command and resume=true")
        own = read_table(place / SAMPLES)
        samples = _complete(own, place / SAMPLES, {}).join(own.filter(regex=f"^{COLUMN}"))
        place /= VECTORS
    vectors = _read_vectors(existing(place, "data.path"))
    if labels is not None:
        file = existing(labels, "data.labels")
        table = read_table(file)
        if len(table) != len(vectors):
            raise UserError(
                f"{place} holds {len(vectors)} vectors and {file} {len(table)} lines; "
                "give one line per vector, in the same order"
            )
        if samples is not None and "sample_id" not in table and not (columns or {}).get("sample_id"):
            table = table.assign(sample_id=samples["sample_id"])
        samples = _complete(table, file, columns or {})
    if samples is None:
        samples = _complete(pd.DataFrame(index=pd.RangeIndex(len(vectors))), place, {})
    if len(samples) != len(vectors):
        raise UserError(f"{place} holds {len(vectors)} vectors and {SAMPLES} {len(samples)} lines; run embed again")
    return Embeddings(vectors, samples)


def _read_vectors(path: Path) -> np.ndarray:
    try:
        with np.errstate(over="raise"):  # of a shape that no file holds
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, ArithmeticError) as error:
        raise UserError(f"{path} is no array of numbers ({error}); write it with numpy.save") from None
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        what = f"{vectors.dtype} {vectors.shape}" if isinstance(vectors, np.ndarray) else "several arrays"
        raise UserError(f"{path} holds {what}; expected one (N, D) array of numbers, one row per scan")
    if not vectors.size:
        raise UserError(f"{path} has the shape {vectors.shape}; expected at least one vector")
    for start in range(0, len(vectors), _CHUNK):
        finite = np.isfinite(vectors[start : start + _CHUNK]).all(axis=1)
        if not finite.all():
            row = start + int(finite.argmin())
            raise UserError(f"{path}: row {row} (counted from 0) holds NaN or infinity; mend or leave out that scan")
    return vectors if vectors.dtype == np.float32 else vectors.astype(np.float32)


def _complete(table: pd.DataFrame, where: Path, columns: Mapping[str, str | Sequence[str] | None]) -> pd.DataFrame:
    """The six columns by this package's names, all of dtype "string"."""
    found = pick(table, columns, COLUMNS, required=(), where=str(where))
    empty = pd.Series(pd.NA, index=table.index, dtype="string")
    samples = pd.DataFrame({name: found.get(name, empty) for name in COLUMNS}, index=table.index)
    if "sample_id" not in found:
        samples["sample_id"] = table.index.astype("string")
    ids = samples["sample_id"]
    empty_ids, repeated = ids.isna().to_numpy(), ids.duplicated().to_numpy()
    if empty_ids.any():
        raise UserError(f"{where}: line {int(empty_ids.argmax()) + 2} has no sample_id; fill it in")
    if repeated.any():
        name = ids.to_numpy()[repeated.argmax()]
        raise UserError(f"{where}: the sample_id {name!r} occurs twice; ids must be unique")
    samples["path"] = samples["path"].fillna(ids)
    return samples.astype("string")
