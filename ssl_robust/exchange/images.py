"""Scans as files for another tool: referred to where they are, copied, linked, or written as PNG."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.sources import Source, read_together
from ssl_robust.run import UserError, progress

CHOICES = ("auto", "refer", "copy", "link", "png")
_PICTURES = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".webp", ".tif", ".tiff"}  # other tools open these


class Placed(NamedTuple):
    """Scans that another tool finds.

    Attributes:
        manifest: of the scans that could be read.
        paths: (N,) where they are, relative to `root`, or to the folder that was written where that is None.
        root: the folder that files were referred to in; None: they lie in the folder that was written.
    """

    manifest: Manifest
    paths: list[str]
    root: Path | None


def place_images(
    manifest: Manifest, out: Path, how: str, *, folders: Sequence[str], limit: float, may_refer: bool = True
) -> Placed:
    """Put the scans where another tool finds them.

    Args:
        manifest: the scans.
        out: the folder that is being written.
        how: one of `CHOICES`; "auto" refers to files where that can be done, copies them where their names are hidden
            (`data.ids=hashed`), and writes PNGs where a scan has no picture file of its own.
        folders: (N,) folder below `out` of each scan, where it is not only referred to.
        limit: share of scans that may be unreadable when PNGs are written.
        may_refer: whether the tool reads files from elsewhere.

    Raises:
        UserError: a choice that the scans do not allow, or a file that cannot be written.
    """
    root = _root(manifest) if may_refer else None
    how = _chosen(manifest, how, root=root, may_refer=may_refer)
    if how == "refer":
        return Placed(manifest, manifest.table["path"].tolist(), root)
    names = _file_names(manifest, folders, png=how == "png")
    if how == "png":
        kept = _write_pngs(manifest, out, names, limit)
        return Placed(manifest.take(kept), [names[row] for row in kept], None)
    files, put = manifest.source.files or [], os.link if how == "link" else shutil.copyfile
    pairs = zip(files, names, strict=True)
    for file, name in progress(pairs, total=len(names), what="copying scans" if how == "copy" else "linking scans"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            put(file, out / name)
        except OSError as error:
            remedy = "to.files=copy copies it" if how == "link" else "see that it is there and the disk has room"
            raise UserError(f"{file} cannot be put into the new folder ({error.strerror or error}); {remedy}") from None
    return Placed(manifest, names, None)


def _chosen(manifest: Manifest, how: str, *, root: Path | None, may_refer: bool) -> str:
    known = [each for each in CHOICES if may_refer or each != "refer"]
    if how not in known:
        raise UserError(f"to.files={how} does not exist here; choose one of {', '.join(known)}")
    files = manifest.source.files
    own = files is not None and len(set(files)) == len(files)  # no two scans out of one file
    if how == "auto":
        if not own or any(file.suffix.lower() not in _PICTURES for file in files or ()):
            return "png"
        return "copy" if root is None else "refer"
    if how == "png" or (own and (how != "refer" or root is not None)):
        return how
    if not own:
        raise UserError(f"to.files={how} needs one file per scan, which these data have not; take to.files=png")
    raise UserError(
        "to.files=refer would show file names that the ids hide, or files of several folders; take to.files=copy"
    )


def _root(manifest: Manifest) -> Path | None:
    """The folder that all paths of the manifest start from; None where they do not lead to the files."""
    roots, files = set(), manifest.source.files
    if files is None:
        return None
    for file, path in zip(files, manifest.table["path"], strict=True):
        whole = unicodedata.normalize("NFC", file.absolute().as_posix())
        name = unicodedata.normalize("NFC", path)
        if ".." in name.split("/") or not whole.endswith(f"/{name}"):
            return None
        roots.add(whole[: -len(name)])
    return Path(roots.pop()) if len(roots) == 1 else None


def _file_names(manifest: Manifest, folders: Sequence[str], *, png: bool) -> list[str]:
    """Paths below the new folder that any file system takes, no two alike without their endings."""
    names, taken = [], set()
    files = manifest.source.files or [None] * len(manifest)
    for path, file, folder in zip(manifest.table["path"], files, folders, strict=True):
        shown = PurePosixPath(folder, *_safe(path, folder))
        ending = ".png" if png or file is None else file.suffix
        stem = str(shown.with_suffix("")) if ending and shown.suffix == ending else str(shown)
        free, number = stem, 2
        while free.casefold() in taken:
            free, number = f"{stem}-{number}", number + 1
        taken.add(free.casefold())
        names.append(free + ending)
    return names


def _safe(path: str, folder: str) -> list[str]:
    """Parts of a path without those that the folder has in front already, and without what no file may be called."""
    parts = path.split("/")
    for above in PurePosixPath(folder).parts:
        if len(parts) > 1 and parts[0] == above:
            parts = parts[1:]
    clean = ["".join(letter if letter.isprintable() and letter not in '\\:*?"<>|#' else "_" for letter in part)
             for part in parts]  # fmt: skip
    return [f"_{part[1:]}" if part.startswith(".") else part.rstrip(" .") or "_" for part in clean]


def _write_pngs(manifest: Manifest, out: Path, names: Sequence[str], limit: float) -> np.ndarray:
    """Rows of the scans that could be read and were written, without loss."""
    kept, lost = [], []
    scans = progress(_decoded(manifest.source, len(names)), total=len(names), what="writing PNGs")
    for row, pixels in scans:
        name = manifest.table["sample_id"].iloc[row]
        if isinstance(pixels, Exception):
            lost.append(f"{name} ({pixels})")
            continue
        if pixels.dtype == np.uint16 and pixels.ndim == 3:
            raise UserError(
                f"{name} is in colour with 16 bits, which Pillow cannot write as PNG; save the data with 8 bits, or "
                "refer to its files"
            )
        (out / names[row]).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(out / names[row])
        kept.append(row)
    if lost:
        summary = f"{len(lost)} of {len(names)} scans cannot be read: {'; '.join(lost[:5])}"
        if len(lost) > limit * len(names):
            raise UserError(f"{summary}; repair or remove them, or raise data.max_unreadable={limit:g}")
        print(f"Note: left out {summary}", file=sys.stderr)
    return np.array(kept, dtype=np.int64)


def _decoded(source: Source, n: int) -> Iterator[tuple[int, np.ndarray | Exception]]:
    """Each row with its pixels, or with what kept them from being read; a file of several scans is opened once."""
    files = source.files
    for _, run in groupby(range(n), key=lambda row: row if files is None else files[row]):
        rows = list(run)
        done = 0
        try:
            for pixels in read_together(source, rows):
                yield rows[done], pixels
                done += 1
        except Exception as error:  # decoders raise many kinds
            yield from ((row, error) for row in rows[done:])
