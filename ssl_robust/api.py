"""The Python API: arrays and DataFrames in and out, without Hydra, run directories or torch tensors.

`import ssl_robust as sr` reaches these functions as `sr.load_encoder`, `sr.embed`, `sr.audit`, `sr.probe` and
`sr.corrupt`. Their defaults are those of the packaged configuration. Heavy libraries are imported by the function that
needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_robust.records import Embeddings
from ssl_robust.run import UserError
from ssl_robust.settings import defaults

if TYPE_CHECKING:
    import pandas as pd

    from ssl_robust.data.scanset import ScanSet
    from ssl_robust.encoders.encoder import Encoder


def load_encoder(path_or_name: str | Path) -> Encoder:
    """A pretrain run's directory, or the name of an encoder that is there already -> the encoder.

    Args:
        path_or_name: e.g. "runs/ssl"; "default" for the encoder that ships; a folder in timm's hub format, or
            "hf-hub:ORG/NAME", the only one that may ask the network.

    Returns:
        A torch module, values in [0, 1] of shape (N, C, H, W) -> (N, D); `.card` says what it learned from.

    Raises:
        UserError: there is no encoder, or its files do not fit each other.
    """
    from ssl_robust.encoders.checkpoint import load_encoder as load

    return load(path_or_name)


def embed(
    encoder: Encoder | str | Path,
    data: str | Path | np.ndarray,
    *,
    batch_size: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    **options: Any,
) -> Embeddings:
    """Scans -> one vector each.

    Args:
        encoder: from `load_encoder`, or what that takes, e.g. "default"; is moved to the device.
        data: a folder of images, a table (.csv, .xlsx, .parquet) with a column `path`, an .npz in MedMNIST's layout, or
            an array of shape (N, H, W) or (N, H, W, C) with C = 1 or 3, uint8 or uint16.
        batch_size: scans per forward pass; None: as in configs/embed.yaml, also for the next two.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto, bf16 or fp32.
        options: for paths, those of `data=folder|csv|npz`, e.g. `index="scans.csv.gz"` or
            `columns={"patient_id": "subject"}`.

    Returns:
        `.vectors` (N, D) float32, not normalised; `.samples`, a DataFrame whose row i belongs to vector i, with the
        columns `sample_id, path, label, patient_id, split, true_label`, NA where unknown.

    Raises:
        ValueError: an array of another shape or type, or options beside an array.
        UserError: the files cannot be read, or a vector is not finite.
    """
    from ssl_robust.encoders.embeddings import embed as embed_scans

    if isinstance(encoder, (str, Path)):
        encoder = load_encoder(encoder)
    packaged = defaults("", "embed")
    resize = encoder.card.resize if encoder.card else "pad"
    if isinstance(data, np.ndarray):
        if options:
            raise ValueError(f"{', '.join(options)} are options for paths, not for arrays; leave them out")
        scans = _scans_of_array(data, encoder, resize)
    else:
        scans = _scans_of_path(Path(data), encoder, resize, options)
    return embed_scans(
        encoder,
        scans,
        batch_size=batch_size or packaged["batch_size"],
        device=device or packaged["device"],
        precision=precision or packaged["precision"],
    )


def audit(
    vectors: np.ndarray | Embeddings,
    labels: Sequence[Any] | np.ndarray | pd.Series | None = None,
    *,
    groups: Any = None,
    ids: Any = None,
    **options: Any,
) -> pd.DataFrame:
    """Rank labels by how likely they are wrong; needs no torch.

    Args:
        vectors: (N, D) floats of any encoder; or what `embed` returned, which brings labels, groups and ids along.
        labels: (N,) class names or codes as given; None, NaN and -1 mean unlabelled.
        groups: (N,) patients; their own other scans then do not vouch for a label.
        ids: (N,) names of the samples, the row numbers where None; they settle equal scores.
        options: `score`, a file of configs/score, the ensemble where left out; `k`, neighbours; `temperature`, a vote
            weighs exp(cosine similarity / temperature); `center`, whether the mean is taken off the vectors first;
            `index` and `recall`, how exactly neighbours are searched; `n_neighbors`, how many are named; `seed`. Their
            defaults are those of configs/neighbors/auto.yaml and configs/audit.yaml.

    Returns:
        N rows in input order: `sample_id`; `label`; `suggested_label`, another class where the label is more likely
        wrong than right; `score` in [0, 1], higher = more likely mislabelled; `p_mislabeled`, the probability of it,
        missing where a class has too few patients; `rank`, 1 = look first; `evidence`, the effective number of other
        patients among the neighbours; `neighbors`, ids of the nearest samples. All but the first two are missing where
        there is no label. `.attrs` has `estimate`, how many labels are wrong, or `estimate_why` not; and `transition`,
        which are taken for which, as audit.json has them.

    Raises:
        ValueError: no labels, lengths differ (the message states both), vectors hold NaN, or there is no such score.
    """
    from ssl_robust.audit.table import audit_table

    if isinstance(vectors, Embeddings):
        known = vectors.samples
        labels = known.get("label") if labels is None else labels
        groups = known.get("patient_id") if groups is None else groups
        ids, vectors = known["sample_id"] if ids is None else ids, vectors.vectors
    if isinstance(vectors, (str, Path)):
        raise ValueError(f"expected vectors or what embed returned, got the path {vectors}; load it first")
    if labels is None:
        raise ValueError("there are vectors and no labels; give audit(vectors, labels)")
    return audit_table(vectors, labels, groups=groups, ids=ids, **options)


def probe(
    vectors: np.ndarray | Embeddings | Mapping[str, np.ndarray],
    labels: Sequence[Any] | np.ndarray | pd.Series | None = None,
    *,
    splits: Sequence[str] | np.ndarray | pd.Series | None = None,
    groups: Any = None,
    **options: Any,
) -> pd.DataFrame:
    """How good are features? Classifiers fitted on train and measured on test, with intervals; needs no torch.

    Args:
        vectors: (N, D) floats of any encoder; or what `embed` returned, which brings labels, splits and groups along;
            or several by name, of which the first is compared with each of the others on the same drawn patients.
        labels: (N,) class names or codes; None, NaN and -1 mean unlabelled, left out.
        splits: (N,) train and test; whatever else is there is left out.
        groups: (N,) patients, none of them in both splits; they are drawn as a whole for the intervals.
        options: `few_labels`, shares of the training labels; `few_draws` of each; `k` and `temperature` of the
            neighbours' vote; `n_resamples` and `level` of the intervals; `seed`. Their defaults are those of
            configs/probe.yaml.

    Returns:
        A row per features, protocol (knn, logistic, few 1%, …) and measure, with `value`, `low`, `high`; `minus` names
        the features that were subtracted and is missing elsewhere.

    Raises:
        ValueError: no labels or splits, lengths differ (the message states both), vectors hold NaN, a split has no
            label, or a group is in train and in test.
    """
    from ssl_robust.transfer.table import probe_table

    if isinstance(vectors, Embeddings):
        known = vectors.samples
        labels = known.get("label") if labels is None else labels
        splits = known.get("split") if splits is None else splits
        groups = known.get("patient_id") if groups is None else groups
        vectors = vectors.vectors
    features = vectors if isinstance(vectors, Mapping) else {"encoder": vectors}
    if labels is None or splits is None:
        raise ValueError("a probe needs labels and splits; give probe(vectors, labels, splits=splits)")
    return probe_table(features, labels, splits=splits, groups=groups, **options)


def corrupt(
    labels: Sequence[Any] | np.ndarray | pd.Series,
    *,
    kind: str,
    seed: int,
    ids: Any = None,
    groups: Any = None,
    features: np.ndarray | None = None,
    **settings: Any,
) -> np.ndarray:
    """Labels -> labels of which some are wrong, for experiments whose truth is known.

    Args:
        labels: (N,) class names or codes; None, NaN and -1 mean unlabelled and stay so.
        kind: symmetric, class_dependent, instance_dependent or raters, a file of `configs/noise/`.
        seed: same seed, same ids: same noise.
        ids: (N,) what a sample's draw hangs on, its position where None.
        groups: (N,) patients, for `by="patient"`: all scans of a patient flip together.
        features: (N, D) vectors or (N, S, S, C) scans, for `kind="instance_dependent"`.
        settings: what the kind takes, e.g. `rate=0.4`, `class_groups=[["a", "b"]]`, `matrix="chaoyang_a"`.

    Returns:
        (N,) noisy labels, of the type given. A wrong label is one of the classes that occur.

    Raises:
        ValueError: lengths differ (the message states both), or a setting that no noise can have.
    """
    import pandas as pd

    from ssl_robust.noise.corruption import corrupt as corrupt_codes

    given = np.asarray(labels)
    if given.ndim != 1:
        raise ValueError(f"expected labels of shape (N,), got {given.shape}")
    known = np.array([None if pd.isna(label) or label == -1 else label for label in given.tolist()], dtype=object)
    codes, classes = pd.factorize(known, sort=True)
    names = [str(name) for name in classes]
    corruption = corrupt_codes(
        codes, kind=kind, seed=seed, ids=ids, groups=groups, features=features, classes=names, **settings
    )
    noisy = given.copy()
    noisy[corruption.flipped] = np.asarray(classes, dtype=given.dtype)[corruption.labels[corruption.flipped]]
    return noisy


def _scans_of_path(path: Path, encoder: Encoder, resize: str, options: dict[str, Any]) -> ScanSet:
    from ssl_robust.data.columns import TABLES
    from ssl_robust.data.manifest import data_settings
    from ssl_robust.data.scanset import open_scans

    kind = "folder" if path.is_dir() else {".npz": "npz", **dict.fromkeys(TABLES, "csv")}.get(path.suffix.lower())
    if kind is None:
        raise UserError(
            f"{path} is neither a folder nor a .npz file or a table ({', '.join(TABLES)}); give one of these"
        )
    # Nothing is measured here, so that it does not matter which split a patient is in.
    settings = data_settings(kind, path=str(path), **{"split_leaks": "allow", **options})
    window = encoder.card.window if encoder.card else None
    return open_scans(settings, image_size=encoder.input_size, channels=encoder.in_chans, resize=resize, window=window)


def _scans_of_array(images: np.ndarray, encoder: Encoder, resize: str) -> ScanSet:
    import pandas as pd

    from ssl_robust.data.manifest import COLUMNS, Manifest
    from ssl_robust.data.scans import fit, with_channels
    from ssl_robust.data.scanset import ScanSet
    from ssl_robust.data.sources import ArraySource

    if (
        images.ndim not in (3, 4)
        or images.shape[3:] not in ((), (1,), (3,))
        or images.dtype not in (np.uint8, np.uint16)
    ):
        raise ValueError(
            f"expected uint8 or uint16 scans of shape (N, H, W) or (N, H, W, C) with C = 1 or 3, "
            f"got {images.dtype} {images.shape}"
        )
    images = images[..., 0] if images.shape[3:] == (1,) else images
    squares = [with_channels(fit(image, encoder.input_size, resize=resize), encoder.in_chans) for image in images]
    table = pd.DataFrame({name: pd.Series(pd.NA, index=range(len(images)), dtype="string") for name in COLUMNS})
    table["sample_id"] = table["path"] = table.index.astype("string")
    shape = (len(images), encoder.input_size, encoder.input_size, encoder.in_chans)
    pixels = np.stack(squares) if squares else np.empty(shape, images.dtype)
    return ScanSet(Manifest(table, (), ArraySource(images, "array")), pixels, resize)
