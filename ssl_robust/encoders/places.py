"""Where encoders lie: run directories, the ones that ship, folders in timm's hub format. Asked without torch."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

from ssl_robust.encoders.card import FILE, Card, read_card
from ssl_robust.encoders.hub import PREFIX, from_hub
from ssl_robust.encoders.hub_format import HUB_WEIGHTS, hub_card, is_hub_folder
from ssl_robust.files import UserError, near, read_json

WEIGHTS = "encoder.safetensors"
DEFAULT = "default"  # the name under which users ask for the shipped encoder that suits most scans
NO_WEIGHTS = ("none", "imagenet")  # what `checkpoint=` takes beside the names of encoders that have a card
CONVERT = (
    "a pickle, which can run any program when it is opened, so it is never loaded; where you trust it, take the "
    "tensors out with torch.load(FILE, weights_only=True), write them with safetensors.torch.save_file"
)
_PICKLES = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".tar"}


@cache
def shipped_root() -> Path:
    """The folder `checkpoints/`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "checkpoints"
    return installed if installed.is_dir() else package.parent / "checkpoints"


def shipped_checkpoints() -> dict[str, Path]:
    """Names and directories of the encoders that ship with the package."""
    return {file.parent.name: file.parent for file in sorted(shipped_root().glob(f"*/{WEIGHTS}"))}


def default_checkpoint() -> str | None:
    """Name of the encoder that `checkpoint=default` means: what `checkpoints/default.txt` says; None while none ships.

    Raises:
        UserError: the file names an encoder that is not there.
    """
    file = shipped_root() / f"{DEFAULT}.txt"
    if not file.is_file():
        return None
    name = file.read_text(encoding="utf-8").strip()
    if name not in shipped_checkpoints():
        raise UserError(f"{file} names {name!r}, which holds no {WEIGHTS}; install ssl-robust again")
    return name


def find_checkpoint(path_or_name: str | Path) -> Path:
    """The directory that holds an encoder's weights and facts.

    Args:
        path_or_name: `runs/ssl`, `…/encoder.safetensors`, a folder in timm's hub format, the name of a shipped encoder,
            `default`, or `hf-hub:ORG/NAME`, the only one that may ask the network.

    Raises:
        UserError: there is none; the message says what is there instead or which names are near.
    """
    name, path = str(path_or_name), Path(path_or_name)
    if name.startswith(PREFIX):
        return from_hub(name)
    if name == DEFAULT:
        return _default()
    if name in NO_WEIGHTS:
        what = {"none": "random weights", "imagenet": "timm's own weights"}[name]
        raise UserError(
            f"{name} stands for {what} and has no card; give a pretrain run's directory or default, or embed with "
            f"checkpoint={name} on the command line"
        )
    if path.name == WEIGHTS and path.is_file():
        return path.parent
    if path.is_dir():
        if (path / WEIGHTS).is_file() or (is_hub_folder(path) and (path / HUB_WEIGHTS).is_file()):
            return path
        raise UserError(f"checkpoint={path} {_held(path)}")
    if path.is_file():
        raise UserError(f"checkpoint={path} is {_file(path)}")
    shipped = shipped_checkpoints()
    if str(path) not in shipped:
        meant = difflib.get_close_matches(name, [*shipped, DEFAULT, *NO_WEIGHTS], n=1)
        if name.lower().startswith(("hf", "hugging")):
            meant = [f"{PREFIX}ORG/NAME"]
        hint = f"did you mean {meant[0]}?" if meant else "give a pretrain run's directory, default, none or imagenet"
        raise UserError(f"checkpoint={path} does not exist{near(path)}; {hint}")
    return shipped[str(path)]


def card_of(path_or_name: str | Path) -> Card:
    """The card of an encoder, wherever it lies; that of a folder in the hub's format follows from its config.json.

    Args:
        path_or_name: as for `find_checkpoint`.

    Raises:
        UserError: there is no encoder, or its card is broken.
    """
    directory = find_checkpoint(path_or_name)
    return hub_card(directory) if is_foreign(directory) else read_card(directory)


def name_of(path_or_name: str | Path) -> str:
    """A short name for tables, reports and exports, without a path: `default` becomes that of the shipped encoder.

    Args:
        path_or_name: as for `find_checkpoint`, or none or imagenet.
    """
    if str(path_or_name) == DEFAULT:
        return _default().name
    path = Path(path_or_name)
    path = path.parent if path.name == WEIGHTS else path
    return path.name or path.resolve().name


def is_foreign(directory: Path) -> bool:
    """Whether a directory that `find_checkpoint` found holds an encoder from elsewhere, which has no card of ours."""
    return not (directory / WEIGHTS).is_file()


def _default() -> Path:
    name = default_checkpoint()
    if name is None:
        raise UserError(
            "checkpoint=default: no encoder ships with this version; give a pretrain run's directory, none (random "
            "weights) or imagenet"
        )
    return shipped_checkpoints()[name]


def _held(path: Path) -> str:
    """What a directory without weights holds instead, and what to give."""
    if is_hub_folder(path) and not (path / FILE).is_file():
        pickles = sorted(each.name for each in path.iterdir() if each.suffix in _PICKLES)
        if pickles:
            return f"holds {pickles[0]}, {CONVERT} as {HUB_WEIGHTS} beside config.json"
        return f"holds config.json and no {HUB_WEIGHTS}; copy both files"
    if inside := sorted(each.parent for each in path.glob(f"*/{WEIGHTS}")):
        names = ", ".join(each.name for each in inside)
        return f"holds no {WEIGHTS} itself but encoders below it: {names}; give one, e.g. checkpoint={inside[-1]}"
    stage = read_json(path / "run.json").get("stage") if (path / "run.json").is_file() else None
    what = f"holds a run of the stage {stage} and no encoder" if stage else f"holds no {WEIGHTS}"
    return f"{what}; give the `out` of a finished pretrain run"


def _file(path: Path) -> str:
    if (path.parent / WEIGHTS).is_file():
        return f"a file; give the directory of the run, checkpoint={path.parent}"
    here = f"checkpoint=imagenet encoder=NAME encoder_file={path.with_suffix('.safetensors')}"
    if path.suffix in _PICKLES:
        return f"{CONVERT} and say which timm model they are of: {here}"
    if path.suffix == ".safetensors":
        return f"a file without a card; say which timm model its weights are of: {here}"
    return "a file; give the directory of a finished pretrain run"
