"""Re-weighting: a label counts as far as it is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.records import Batch, TrainInfo


class Reweight(Strategy):
    """Cross-entropy, each sample times p(its label is right | scan, label).

    The family of importance re-weighting (Karimi et al. 2020, arXiv 1912.02911; Liu & Tao 2014, arXiv 1411.7718): the
    weights are fixed before training, so that what the model memorises cannot raise them. By Bayes' rule they hold a
    label against the class that the scans of other patients suggest.

    Args:
        floor: least weight before the weights are brought to their mean; 1 = cross-entropy.
        within_class: the weights have mean one among the samples of each given class, so that a rare class, whose
            labels are believed least, keeps its share of the loss; False: mean one over all.
    """

    weights: Tensor  # (N,)

    def __init__(self, *, floor: float, within_class: bool) -> None:
        super().__init__()
        if isinstance(floor, bool) or not 0 <= floor <= 1:
            raise ValueError(f"floor={floor}; expected a number from 0 to 1 (cross-entropy)")
        self.floor, self.within_class = floor, within_class

    def start(self, info: TrainInfo) -> None:
        """Weigh the labels."""
        super().start(info)
        labels = info.labels
        weights = torch.as_tensor(info.believe().posterior)[torch.arange(len(labels)), labels].clamp(min=self.floor)
        part = labels if self.within_class else torch.zeros_like(labels)
        means = torch.zeros(info.n_classes).scatter_reduce(0, part, weights, "mean", include_self=False)
        # A class of which no label is believed at all stays without weight.
        self.register_buffer("weights", weights / means[part].clamp(min=torch.finfo(weights.dtype).tiny))

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean of weight times cross-entropy; see `Strategy.losses`."""
        batch = batches[0]["train"]
        each = F.cross_entropy(models[0](batch.images[0]), batch.labels, reduction="none")
        return [(self.weights[batch.indices] * each).mean()]
