"""Logit adjustment: training as classes are, answering as if all were equally frequent (Menon et al. 2021,
arXiv 2007.07314, eq. 10)."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def adjustment(counts: Tensor, strength: float) -> Tensor:
    """What is added to the logits in training, and left away in prediction: strength log(prior).

    Args:
        counts: (K,) of the true classes, as far as they are believed.
        strength: tau; 1 is what balanced accuracy asks for, 0 adds nothing.

    Returns:
        (K,).
    """
    # One scan more of each class: none is so rare that its logarithm has no bottom.
    return strength * ((counts + 1) / (counts + 1).sum()).log()


def checked_strength(strength: Any) -> float:
    """Refuse a strength that cannot be.

    Raises:
        ValueError: no number from 0 to 10.
    """
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= 10:
        raise ValueError(f"strength={strength}; expected a number from 0 to 10, 1 = all classes alike")
    return float(strength)
