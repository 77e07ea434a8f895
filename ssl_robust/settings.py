"""Where the packaged configuration lies, and one group file of it as plain values.

Each hyperparameter has one home, its YAML. The command line reads it through Hydra, the Python API through
`defaults`, so that the two never disagree.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any


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
