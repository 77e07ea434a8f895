"""Where the packaged configuration lies, and one group file of it as plain values.

Each hyperparameter has one home, its YAML. The command line reads it through Hydra, the Python API through
`defaults`, so that the two never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


@cache
def config_directory() -> Path:
    """The folder `configs/`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def choices(group: str) -> list[str]:
    """Names that `group=` accepts, sorted: `choices("method")` -> ["barlow_twins", "byol", …]."""
    return sorted(file.stem for file in (config_directory() / group).glob("*.yaml") if file.stem[0] != "_")


def defaults(group: str, name: str) -> dict[str, Any]:
    """The values of one group file, `defaults("noise", "symmetric")`, without Hydra's own keys.

    Args:
        group: folder under `configs/`.
        name: file in it, without `.yaml`.

    Returns:
        Plain containers; `_target_` is kept, Hydra's `defaults` list is not followed.
    """
    import yaml

    values = yaml.safe_load((config_directory() / group / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    return {key: value for key, value in values.items() if key not in ("defaults",)}


def name_of(group: str, values: Mapping[str, Any]) -> str:
    """The file of a group with exactly these values (`mae`, which is `gce` with q = 1); else its module's name.

    Args:
        group: folder under `configs/`.
        values: a node of the configuration, with `_target_`.
    """
    same = [name for name in choices(group) if defaults(group, name) == values]
    return same[0] if same else str(values["_target_"]).split(".")[-2]


def stage_defaults(stage: str) -> dict[str, Any]:
    """The values of a root file and of the shared ones that it takes in (`- _opinion`), without its groups.

    Args:
        stage: name of the root file, e.g. "audit".
    """
    import yaml

    root = yaml.safe_load((config_directory() / f"{stage}.yaml").read_text(encoding="utf-8"))
    shared = [each for each in root.get("defaults", []) if isinstance(each, str) and each != "_self_"]
    parts = [defaults("", name) for name in shared] + [defaults("", stage)]
    return {key: value for part in parts for key, value in part.items()}


def compose(stage: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration of one stage with overrides, as the command line sees it.

    Args:
        stage: name of a root file, e.g. "pretrain".
        overrides: Hydra overrides, `["data=npz", "data.path=scans.npz"]`.

    Returns:
        The composed configuration without Hydra's own node; struct mode is on.

    Raises:
        hydra.errors.HydraException: an override does not fit; the command line turns it into one sentence.
    """
    return _compose(stage, overrides)


def chosen_groups(stage: str, overrides: Sequence[str] = ()) -> dict[str, str]:
    """Group -> its choice, those that another choice makes included (`method=byol` chooses an `optim`).

    Args:
        stage: as in `compose`.
        overrides: as in `compose`.
    """
    made = _compose(stage, overrides, return_hydra_config=True).hydra.runtime.choices
    groups = {str(key).partition("@")[0]: str(choice) for key, choice in made.items() if choice is not None}
    return {group: choice for group, choice in groups.items() if (config_directory() / group).is_dir()}


def _compose(stage: str, overrides: Sequence[str], **options: bool) -> DictConfig:
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3", job_name="ssl-robust"):
        return hydra.compose(stage, list(overrides), **options)
