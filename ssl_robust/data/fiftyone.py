"""An image classification set as FiftyOne exports it (`labels.json`, `data/…`) -> manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from ssl_robust.data.foreign import columns_of, files_below, read_foreign_json, with_classes
from ssl_robust.data.formats.known import kind_of
from ssl_robust.data.manifest import Manifest, build_manifest
from ssl_robust.data.sources import FileSource
from ssl_robust.files import UserError, existing

_FORMAT = "a FiftyOneImageClassificationDataset"
_CARRIED = ("sample_id", "patient_id", "split", "true_label")


def read_fiftyone(
    *,
    path: str,
    root: str | None,
    classes: Sequence[str] | None,
    columns: Mapping[str, str | None],
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """FiftyOneImageClassificationDataset -> manifest (https://docs.voxel51.com/user_guide/import_datasets.html).

    A label's attributes may carry `sample_id`, `patient_id`, `split` and `true_label`; ids default to the relative
    path.

    Args:
        path: the data set's folder, or its labels.json.
        root: folder of the images; None: `data/` beside labels.json.
        classes: names in the order of the codes; None: the file's.
        columns: how attributes name the columns.
        fractions: shares of `val` and `test` where no split is given.
        split_seed: seed of those splits.

    Raises:
        UserError: not of this format, an image with several labels, or one outside of the folder.
    """
    place = existing(path, "data.path", folder=None)
    file = labels_file(place)
    targets, names, known = _content(file)
    data = file.parent / "data"
    default = data if data.is_dir() else file.parent
    base = default if root is None else existing(root, "data.root", folder=True)
    paths, shown = files_below(base, _with_endings(base, list(targets), file), place.name)
    fields = [{**_fields(known.get(key)), **_fields(_attributes(target))} for key, target in targets.items()]
    found = columns_of(fields, columns, _CARRIED, where=place.name)
    defaults = pd.Series(shown, dtype="string")
    table: dict[str, Any] = {
        **found,
        "path": shown,
        "label": [_label(target, names, key, file) for key, target in targets.items()],
        "sample_id": found["sample_id"].fillna(defaults) if "sample_id" in found else defaults,
    }
    made = build_manifest(table, FileSource(paths, shown), classes=classes, fractions=fractions, split_seed=split_seed,
                          where=place.name)  # fmt: skip
    return made if classes is not None else with_classes(made, names)


def labels_file(place: Path) -> Path:
    """The labels.json of a data set, named by itself or by its folder.

    Raises:
        UserError: there is none.
    """
    file = place / "labels.json" if place.is_dir() else place
    if not file.is_file():
        raise UserError(f"{place} holds no labels.json; give {_FORMAT} (fiftyone.types.{_FORMAT.split()[-1]})")
    return file


def read_labels(file: Path) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Name of the image without its ending, label and attributes, of each image of a labels.json.

    Raises:
        UserError: it is of another format, or an image has several labels.
    """
    targets, names, known = _content(file)
    return [
        (key, _label(target, names, key, file), {**_fields(known.get(key)), **_fields(_attributes(target))})
        for key, target in targets.items()
    ]


def _content(file: Path) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    """Targets by image, class names, and what `ssl-robust convert` has added of images without a label."""
    content = read_foreign_json(file, dict, _FORMAT)
    targets, names = content.get("labels"), content.get("classes") or []
    if not isinstance(targets, dict) or not isinstance(names, list) or not targets:
        raise UserError(f"{file} holds no labels; expected {_FORMAT}: {{classes: […], labels: {{name: class}}}}")
    return targets, [str(name) for name in names], _fields(content.get("samples"))


def _with_endings(base: Path, keys: Sequence[str], where: Path) -> list[str]:
    """Paths below `base` of images that labels.json names without their ending."""
    found: dict[str, list[str]] = {}
    for folder, _, names in os.walk(base):
        for name in names:
            file = Path(folder, name)
            if kind_of(file):
                relative = PurePosixPath(file.relative_to(base).as_posix())
                found.setdefault(relative.with_suffix("").as_posix(), []).append(relative.as_posix())
    for key in keys:
        if len(found.get(key, ())) > 1:
            raise UserError(f"{where}: {key} may be {' or '.join(sorted(found[key]))}; rename one of them")
    return [found.get(key, [key])[0] for key in keys]


def _label(target: Any, names: Sequence[str], key: str, file: Path) -> str | None:
    """The class name of a target: a code, a name, an object with `label`, a list of one of these, or null."""
    if isinstance(target, list):
        if len(target) > 1:
            raise UserError(f"{file}: {key} has several labels; expected one per image")
        return _label(target[0], names, key, file) if target else None
    if isinstance(target, dict):
        return _label(target.get("label"), names, key, file)
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(names):
        return names[target]
    if target is None or (isinstance(target, str) and (not names or target in names)):
        return target
    raise UserError(f"{file}: the label {target!r} of {key} is not one of its classes ({', '.join(names) or 'none'})")


def _attributes(target: Any) -> Any:
    if isinstance(target, list):
        return _attributes(target[0]) if target else {}
    return target.get("attributes") if isinstance(target, dict) else {}


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
