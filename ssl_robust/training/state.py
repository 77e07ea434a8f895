"""`last.ckpt` read back: tensors and plain values alone, whoever wrote it."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from ssl_robust.run import UserError


def read_state(path: Path, *, device: torch.device, holds: Collection[str]) -> dict[str, Any]:
    """The training state in a file of `torch.save`; nothing in it is run, as `weights_only` refuses other objects.

    Args:
        path: the file.
        device: where its tensors go.
        holds: what must be in it.

    Raises:
        UserError: it is damaged, holds another kind of object, or lacks something.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is odd in a file that is refused anyway
            state = torch.load(path, map_location=device, weights_only=True)
    except Exception:  # a damaged file may raise anything
        state = None
    if not isinstance(state, dict) or not set(holds) <= set(state):
        raise UserError(
            f"{path} is damaged or holds more than tensors and numbers, which is never opened; train again with "
            "overwrite=true, or put the run's own last.ckpt back"
        )
    return state
