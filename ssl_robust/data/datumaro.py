"""A data set in Datumaro's own format (`annotations/<subset>.json`, `images/<subset>/…`) -> manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_robust.data.foreign import columns_of, files_below, read_foreign_json, with_classes
from ssl_robust.data.manifest import Manifest, build_manifest
from ssl_robust.data.sources import FileSource
from ssl_robust.data.splits import SPLITS, split_name
from ssl_robust.files import UserError, existing

_FORMAT = "Datumaro's JSON"
_CARRIED = ("patient_id", "true_label")


def read_datumaro(
    *,
    path: str,
    root: str | None,
    classes: Sequence[str] | None,
    columns: Mapping[str, str | None],
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """Items with their annotations of type `label` -> manifest; ids are the items', subsets named as splits the splits.

    Format version 1.0, as Datumaro 1.x writes it
    (https://openvinotoolkit.github.io/datumaro/stable/docs/data-formats/formats/datumaro.html).

    Args:
        path: the data set's folder, or one of its annotation files.
        root: folder that the images' paths start from; None: the data set's own.
        classes: names in the order of the codes; None: the file's categories.
        columns: how the items' attributes name `patient_id` and `true_label`, or any other column.
        fractions: shares of `val` and `test` where the subsets are no splits.
        split_seed: seed of those splits.

    Raises:
        UserError: not of this format, an item with several labels, or an image outside of the folder.
    """
    place = existing(path, "data.path", folder=None)
    home, files = _annotations(place)
    base = home if root is None else existing(root, "data.root", folder=True)
    items, names = [], []
    for file in files:
        content = read_foreign_json(file, dict, _FORMAT)
        labels = _names(content, file)
        names += labels
        items += list(_items(content, labels, file, base))
    if not items:
        raise UserError(f"{place} holds no items; expected {_FORMAT} with items in it")
    paths, shown = files_below(base, [item["path"] for item in items], place.name)
    table: dict[str, Any] = {
        "sample_id": _ids(items),
        "path": shown,
        "label": [item["label"] for item in items],
        "split": _splits([item["subset"] for item in items]),
        **columns_of([item["attr"] for item in items], columns, _CARRIED, where=place.name),
    }
    made = build_manifest(table, FileSource(paths, shown), classes=classes, fractions=fractions, split_seed=split_seed,
                          where=place.name)  # fmt: skip
    return made if classes is not None else with_classes(made, names)


def _annotations(place: Path) -> tuple[Path, list[Path]]:
    """The data set's folder and its annotation files."""
    if place.is_file():
        return (place.parent.parent if place.parent.name == "annotations" else place.parent), [place]
    files = sorted((place / "annotations").glob("*.json"), key=lambda file: (_position(file.stem), file.stem))
    if not files:
        raise UserError(f"{place} holds no annotations/*.json; give the folder of a data set in {_FORMAT}")
    return place, files


def _position(subset: str) -> int:
    """Train, val, test, as everywhere; then what is no split."""
    split = split_name(subset)
    return SPLITS.index(split) if split else len(SPLITS)


def _names(content: Mapping[str, Any], file: Path) -> list[str]:
    try:
        return [str(label["name"]) for label in content["categories"].get("label", {}).get("labels", [])]
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{file} names no categories; expected {_FORMAT} (categories.label.labels)") from None


def _items(content: Mapping[str, Any], names: Sequence[str], file: Path, base: Path) -> Iterator[dict[str, Any]]:
    """Id, subset, path below `base`, label and attributes of each item."""
    for item in content.get("items") or []:
        try:
            name = str(item["id"])
            image = item.get("image") or item.get("media") or {}
            path = str(image.get("path") or f"{name}.jpg")  # as Datumaro does where an image names no file
            labels = {names[_code(each)] for each in item.get("annotations") or [] if each["type"] == "label"}
            attributes = dict(item.get("attr") or {})
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise UserError(f"{file}: an item does not fit {_FORMAT} ({type(error).__name__}: {error}); export it "
                            "again") from None  # fmt: skip
        if len(labels) > 1:
            raise UserError(f"{file}: the item {name!r} has several labels ({', '.join(sorted(labels))}); expected one")
        places = [f"images/{file.stem}/{path}", f"images/{path}", path]
        found = next((each for each in places if (base / each).is_file()), path)
        yield {"id": name, "subset": file.stem, "path": found, "label": next(iter(labels), None), "attr": attributes}


def _code(annotation: Mapping[str, Any]) -> int:
    code = annotation["label_id"]
    if isinstance(code, bool) or not isinstance(code, int) or code < 0:
        raise ValueError(f"label_id {code!r} is no class")
    return code


def _ids(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The items' ids, which are unique within a subset; with the subset in front where they are not beyond it."""
    ids = [str(item["id"]) for item in items]
    return ids if len(set(ids)) == len(ids) else [f"{item['subset']}/{item['id']}" for item in items]


def _splits(subsets: Sequence[str]) -> list[str] | None:
    """The subsets as splits; None where none is one, as in a set with the subset `default` alone."""
    return list(subsets) if any(map(split_name, set(subsets))) else None
