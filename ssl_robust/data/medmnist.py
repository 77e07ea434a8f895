"""A set of the MedMNIST collection by its name -> manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.npz import read_npz
from ssl_robust.run import UserError


def read_medmnist(
    *,
    name: str,
    size: int,
    root: str | None,
    download: bool,
    task: int | str | None,
    index: str | None,
    classes: Sequence[str] | None,
    columns: Mapping[str, str | Sequence[str] | None],
    consensus: str,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """A 2-D set of MedMNIST (Yang et al. 2023, doi:10.1038/s41597-022-01721-8) with its class names and splits.

    Args:
        name: e.g. "pathmnist".
        size: 28, 64, 128 or 224.
        root: folder of the npz files; None: `~/.medmnist`, as the package medmnist.
        download: fetch the file where it is missing.
        task: name or number of the finding to take, for sets with several labels per scan.
        index: see `read_npz`, as are the remaining arguments.
        classes: names in the order of the codes; None: the collection's.
        columns: how the index names its columns.
        consensus: how one label is made of those of several readers.
        fractions: not used, the splits are given.
        split_seed: not used, as above.

    Raises:
        UserError: medmnist is not installed, the set is unknown or three-dimensional, the file is missing, or the set
            has several labels per scan and no task is chosen.
    """
    try:
        from medmnist.info import INFO  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError(
            'data=medmnist needs the package medmnist; install it with pip install "ssl-robust[medmnist]"'
        ) from None
    known = [each for each in INFO if not each.endswith("3d")]
    if name not in known:
        raise UserError(f"data.name={name} is not a two-dimensional set of MedMNIST; choose one of {', '.join(known)}")
    if size not in (28, 64, 128, 224):
        raise UserError(f"data.size={size} does not exist; choose 28, 64, 128 or 224")
    info = INFO[name]
    names = list(info["label"].values())
    if task is not None and not info["task"].startswith("multi-label"):
        raise UserError(
            f"{name} has one label per scan, so there is no data.task={task} to choose; leave data.task= out"
        )
    number = _task_number(name, names, task) if info["task"].startswith("multi-label") else None
    if number is not None:
        names = [f"no {names[number]}", names[number]]
    file = _file(name, size, root, info, download=download)
    return read_npz(path=str(file), index=index, task=number, classes=classes or names, columns=columns,
                    consensus=consensus, fractions=fractions, split_seed=split_seed)  # fmt: skip


def _task_number(name: str, findings: list[str], task: int | str | None) -> int:
    if task in findings:
        return findings.index(str(task))
    if isinstance(task, int) and 0 <= task < len(findings):
        return task
    asked = "" if task is None else f", and data.task={task} is none of them"
    raise UserError(f"{name} has several labels per scan{asked}; choose one with data.task=: {', '.join(findings)}")


def _file(name: str, size: int, root: str | None, info: Mapping[str, Any], *, download: bool) -> Path:
    """The npz file on this machine."""
    folder = Path(root or "~/.medmnist").expanduser()
    suffix = "" if size == 28 else f"_{size}"
    file = folder / f"{name}{suffix}.npz"
    if file.is_file():
        return file
    if not download:
        raise UserError(f"{file} does not exist; add data.download=true to fetch it from {info[f'url{suffix}']}")
    from torchvision.datasets.utils import download_url

    try:
        download_url(info[f"url{suffix}"], root=str(folder), filename=file.name, md5=info[f"MD5{suffix}"])
    except Exception as error:  # urllib and torchvision raise many kinds
        raise UserError(f"{file.name} could not be fetched ({error}); download it by hand from {info[f'url{suffix}']} "
                        f"to {folder}") from None  # fmt: skip
    return file
