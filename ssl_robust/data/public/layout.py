"""The files of a public set as its archive unpacks them: found, or the missing one named with where to get it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ssl_robust.files import UserError, existing

# Of the official files and their usual copies. What else lies there (licences, tables) is no scan.
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})


def set_folder(path: str, homepage: str) -> Path:
    """The folder that `data.path` names.

    Args:
        path: what the user gave.
        homepage: where the set is downloaded.

    Raises:
        UserError: it is not there, or it is a file.
    """
    if (packed := Path(path).expanduser()).suffix.lower() == ".zip" and packed.is_file():
        raise UserError(f"data.path={path} is still packed; unpack it and give the folder")
    try:
        return existing(path, "data.path", folder=True)
    except UserError as error:
        raise UserError(f"{error}; if the set is not here yet, download it from {homepage} and unpack it") from None


class Layout:
    """The root of an unpacked set, and what must lie in it; all names are relative to it, with `/`.

    Args:
        path: `data.path`: the root, or the folder in which the archive was unpacked.
        homepage: where the set is downloaded.
        landmark: a file or folder by which the root is known.

    Raises:
        UserError: there is no such folder, no landmark in it, or several roots.
    """

    def __init__(self, path: str, homepage: str, *, landmark: str) -> None:
        self.path = path
        self.homepage = homepage
        self.root = set_folder(path, homepage)
        if not os.path.exists(self.root / landmark):
            # os.path's, since Path.exists raises where a folder beside may not be read.
            below = sorted(each.name for each in self.root.iterdir() if os.path.exists(each / landmark))
            if len(below) > 1:
                raise UserError(f"data.path={path} holds {landmark} in {' and in '.join(below)}; give one of them")
            if not below:
                raise UserError(
                    f"data.path={path} holds no {_called(landmark)}; give the folder that does, or {self._unpack()}"
                )
            self.root /= below[0]

    def required(self, name: str) -> Path:
        """A file or folder that the set must have.

        Raises:
            UserError: it is not there; the message names the outermost folder that is missing.
        """
        for part in (*reversed(Path(name).parents), Path(name)):
            if not (self.root / part).exists():
                raise UserError(f"data.path={self.path} holds no {_called(part.as_posix())}; {self._unpack()}")
        return self.root / name

    def folder(self, name: str) -> str:
        """A folder that the set must have; its name is doubled where an archive was unpacked into a folder of its name.

        Raises:
            UserError: it is not there.
        """
        inner = f"{name}/{Path(name).name}"
        return inner if (self.required(name) / Path(name).name).is_dir() else name

    def images(self, folder: str) -> list[str]:
        """The image files below a folder, sorted; hidden ones (the `._x.png` that macOS leaves) are passed over.

        Raises:
            UserError: the folder is not there, or holds no image.
        """
        found = []
        for place, below, files in os.walk(self.required(folder)):
            below[:] = [name for name in below if name[0] != "."]
            inside = Path(place).relative_to(self.root).as_posix()
            found += [f"{inside}/{name}" for name in files if _is_image(name)]
        if not found:
            raise UserError(f"data.path={self.path} holds no image in {folder}; {self._unpack()}")
        return sorted(found)

    def check_files(self, names: Iterable[str], *, named_in: str) -> None:
        """Each file that a table of the set names must be there.

        Args:
            names: of the files.
            named_in: the table, for the message.

        Raises:
            UserError: some are missing, as after an interrupted download.
        """
        if missing := [name for name in names if not (self.root / name).is_file()]:
            others = f" and {len(missing) - 1} other files" if len(missing) > 1 else ""
            raise UserError(
                f"data.path={self.path} holds no {missing[0]}{others}, which {named_in} names; {self._unpack()}"
            )

    def _unpack(self) -> str:
        """How to mend it; what lies there packed need not be downloaded again."""
        packed = "unpack the .zip that lies there, or " if any(self.root.glob("*.zip")) else ""
        return f"{packed}download the set from {self.homepage} and unpack it there"


def _called(name: str) -> str:
    """A name for a message: files show by their ending that they are such."""
    return name if Path(name).suffix else f"folder {name!r}"


def _is_image(name: str) -> bool:
    return name[0] != "." and os.path.splitext(name)[1].lower() in _IMAGES
