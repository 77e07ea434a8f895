"""Cross-entropy with the labels as they are given: what every robust strategy is measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.records import Batch


class CrossEntropy(Strategy):
    """Trusts every label.

    Args:
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2015, arXiv 1512.00567,
            section 7); 0 = none.
    """

    def __init__(self, *, label_smoothing: float) -> None:
        super().__init__()
        if isinstance(label_smoothing, bool) or not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing={label_smoothing}; expected a share from 0 to 1, e.g. 0.1")
        self.label_smoothing = label_smoothing

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean cross-entropy of the only view; see `Strategy.losses`."""
        batch = batches[0]["train"]
        return [F.cross_entropy(models[0](batch.images[0]), batch.labels, label_smoothing=self.label_smoothing)]
