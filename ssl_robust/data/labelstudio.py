"""Tasks with choices, as Label Studio exports and imports them as JSON -> manifest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import pandas as pd

from ssl_robust.data.columns import shown
from ssl_robust.data.foreign import columns_of, files_below, read_foreign_json
from ssl_robust.data.manifest import Manifest, build_manifest
from ssl_robust.data.sources import FileSource
from ssl_robust.data.votes import Votes, check_rule
from ssl_robust.files import UserError, existing

_FORMAT = "Label Studio's JSON"
_CARRIED = ("sample_id", "path", "patient_id", "split", "true_label")
_UNNAMED = "unnamed annotator {}"


class Answer(NamedTuple):
    """What one annotator chose.

    Attributes:
        annotator: the user's number, "" where it is not told.
        choice: the class.
        is_truth: whether it is marked as the ground truth.
    """

    annotator: str
    choice: str
    is_truth: bool


def read_labelstudio(
    *,
    path: str,
    root: str | None,
    annotator: str | int | None,
    classes: Sequence[str] | None,
    columns: Mapping[str, str | None],
    consensus: str,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """Tasks -> manifest (https://labelstud.io/guide/task_format); ids are `data.sample_id`, else the relative path.

    Several annotators are readers, whose consensus is the label; none where they are equally divided or all skipped it.
    What is marked as ground truth is the `true_label`, and an answer like others where nobody else gave one.
    Predictions are no labels.

    Args:
        path: the exported file (format JSON, not JSON-MIN).
        root: folder of the images; None: the file's own.
        annotator: number of the annotator whose answers alone count; None: all.
        classes: names in the order of the codes; None: the choices that occur.
        columns: how the tasks' data name the columns; `path` is `image` where it is null, `label` names the control
            (`from_name`) where there are several.
        consensus: how one label is made of those of several annotators.
        fractions: shares of `val` and `test` where no split is given.
        split_seed: seed of those splits.

    Raises:
        UserError: not of this format, an image on a server or outside of the folder, several choices at once, no answer
            of the annotator, or a consensus that does not fit the annotators.
    """
    file = existing(path, "data.path")
    tasks = read_tasks(file)
    base = file.parent if root is None else existing(root, "data.root", folder=True)
    named = {**columns, "path": columns.get("path") or "image", "label": None}
    found: dict[str, Any] = dict(columns_of([task["data"] for task in tasks], named, _CARRIED, where=file.name))
    places = [_place(url, file.name) for url in found.pop("path")]
    files, names = files_below(base, places, file.name)
    control = columns.get("label")
    if control is not None and not isinstance(control, str):
        raise UserError(f"data.columns.label={shown(control)} must be one control; the annotators of {file.name} are "
                        "readers without being named")  # fmt: skip
    answers = [answers_to(task, control, file.name) for task in tasks]
    if annotator is not None:
        answers = _of_one(answers, str(annotator), file.name)
    truth = pd.Series([next((each.choice for each in some if each.is_truth), None) for some in answers], dtype="string")
    found["true_label"] = truth.fillna(found["true_label"]) if "true_label" in found else truth
    ids, defaults = found.get("sample_id"), pd.Series(names, dtype="string")
    given = _by_annotator(answers)
    votes = _votes(given, consensus, file.name)
    table = {**found, "path": names, "sample_id": defaults if ids is None else ids.fillna(defaults),
             "label": next((column for _, column in given.items()), None)}  # fmt: skip
    return build_manifest(table, FileSource(files, names), classes=classes, fractions=fractions, split_seed=split_seed,
                          where=file.name, votes=votes)  # fmt: skip


def read_tasks(file: Path) -> list[dict[str, Any]]:
    """The tasks of an exported file, each with its `data`.

    Raises:
        UserError: it is of another format.
    """
    tasks = read_foreign_json(file, list, _FORMAT)
    if not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise UserError(f"{file} holds tasks without data; export it as JSON (not JSON-MIN)")
    return tasks


def _place(url: Any, where: str) -> str:
    """The path that a task's address names: of local files, of uploads, or a plain path."""
    if pd.isna(url):
        raise UserError(f"{where}: a task names no image; name the field of its data with data.columns.path=…")
    parts = urlsplit(url)
    if parts.path.endswith("/data/local-files/") and (query := parse_qs(parts.query).get("d")):
        return query[0]
    if "/data/upload/" in parts.path:
        return unquote(parts.path.partition("/data/")[2])
    if parts.scheme and len(parts.scheme) > 1:  # a single letter is a drive of Windows
        raise UserError(f"{where}: the image {url} lies on a server; expected local files, fetch them and name the "
                        "folder with data.root=…")  # fmt: skip
    return url


def answers_to(task: Mapping[str, Any], control: str | None, where: str) -> list[Answer]:
    """The last answer of each annotator to a task; skipped ones are none.

    Args:
        task: of `read_tasks`.
        control: name of the choices where there are several.
        where: what to call the file in messages.

    Raises:
        UserError: an annotation is of another format, holds several choices, or there are several controls.
    """
    last: dict[tuple[str, bool], Answer] = {}
    for number, each in enumerate(task.get("annotations") or []):
        try:
            results = [part for part in each.get("result") or [] if part.get("type") == "choices"]
            names = sorted({str(part.get("from_name")) for part in results})
            chosen = [part["value"]["choices"] for part in results if control in (None, part.get("from_name"))]
        except (AttributeError, KeyError, TypeError):
            raise UserError(f"{where}: an annotation does not fit {_FORMAT}; export it again") from None
        if control is None and len(names) > 1:
            raise UserError(f"{where}: there are choices of {' and '.join(names)}; take one with data.columns.label=…")
        if any(len(choices) > 1 for choices in chosen):
            raise UserError(f"{where}: {', '.join(map(str, chosen[0]))} are several choices at once; expected one")
        who, is_truth = _annotator(each), bool(each.get("ground_truth"))
        if chosen and chosen[0] and not each.get("was_cancelled"):
            last[who or f"#{number}", is_truth] = Answer(who, str(chosen[0][0]), is_truth)
    return list(last.values())


def _annotator(annotation: Mapping[str, Any]) -> str:
    """The user's number; names and addresses of people are not read."""
    who = annotation.get("completed_by")
    who = who.get("id") if isinstance(who, dict) else who
    return "" if who is None else str(who)


def _of_one(answers: Sequence[Sequence[Answer]], annotator: str, where: str) -> list[list[Answer]]:
    known = sorted({each.annotator for some in answers for each in some if each.annotator})
    if annotator not in known:
        raise UserError(f"data.annotator={annotator} has answered nothing in {where}; choose one of "
                        f"{', '.join(known) or 'none, as no annotator is named there'}")  # fmt: skip
    return [[each for each in some if each.annotator == annotator] for some in answers]


def _by_annotator(answers: Sequence[Sequence[Answer]]) -> pd.DataFrame:
    """(N, R) choices, a column for each annotator, NA where one did not answer.

    What is marked as ground truth counts only where nobody else answered. Annotators who are not told are columns by
    their place in a task, since nothing says who of one task is who of the next.
    """
    rows = []
    for some in answers:
        counted = [each for each in some if not each.is_truth] or some
        unnamed = (_UNNAMED.format(place) for place in itertools.count(1))
        rows.append(
            {(f"annotator {each.annotator}" if each.annotator else next(unnamed)): each.choice for each in counted}
        )
    names = sorted({name for row in rows for name in row}, key=lambda name: (len(name), name))  # 2 before 10
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype="string") for name in names})


def _votes(given: pd.DataFrame, rule: str, where: str) -> Votes | None:
    """The choices of several annotators; None of one, or none."""
    check_rule(rule)
    if given.shape[1] < 2:
        return None
    check_rule(rule, n_readers=given.shape[1])
    if rule == "dawid_skene" and _UNNAMED.format(2) in given:
        raise UserError(f"{where} does not tell who answered, and data.consensus=dawid_skene weighs how each annotator "
                        "errs; take data.consensus=majority")  # fmt: skip
    return Votes(given, rule, typed=False)
