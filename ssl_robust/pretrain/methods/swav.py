"""SwAV: views of a scan must agree on the prototype that they belong to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightly.loss import SwaVLoss
from lightly.models.modules import SwaVProjectionHead
from lightly.models.utils import normalize_weight
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, encode_together
from ssl_robust.records import Crop, Progress


class SwAV(Method):
    """Swapped prediction of Sinkhorn codes; Caron et al. 2020, arXiv 2006.09882, eq. 1, with multi-crop.

    Prototypes are plain unit vectors as in the authors' code (lightly's have a bias). No queue: with fewer prototypes
    than scans in a batch the codes of a batch are well defined.

    Args:
        encoder: what is pretrained.
        crops: the first kind are the views whose codes are predicted; the others only predict.
        n_prototypes: K.
        temperature: tau of eq. 2.
        sinkhorn_epsilon: smoothness of the codes, eq. 3.
        sinkhorn_iterations: rounds of normalisation of the codes.
        frozen: share of the run in which the prototypes stay as they are.
        hidden_dim: width of the projection head.
        output_dim: dimensions of projections and prototypes.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        n_prototypes: int,
        temperature: float,
        sinkhorn_epsilon: float,
        sinkhorn_iterations: int,
        frozen: float,
        hidden_dim: int,
        output_dim: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.frozen = frozen
        self.head = SwaVProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.prototypes = nn.Linear(output_dim, n_prototypes, bias=False)
        normalize_weight(self.prototypes.weight)  # type: ignore[arg-type]
        self.criterion = SwaVLoss(temperature, sinkhorn_iterations, sinkhorn_epsilon, sinkhorn_gather_distributed=True)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Cross-entropy of every view's assignment with the codes of each other large view."""
        features = torch.cat(encode_together(self.encoder, views))
        scores = self.prototypes(F.normalize(self.head(features), dim=1)).chunk(len(views))
        n_large = self.crops[0].n
        return {"loss": self.criterion(list(scores[:n_large]), list(scores[n_large:])).squeeze()}

    def after_backward(self, progress: Progress) -> None:
        """Let the features settle before the prototypes move (appendix A: "we freeze the prototypes")."""
        if progress.fraction < self.frozen:
            self.prototypes.weight.grad = None

    def after_step(self, progress: Progress) -> None:
        """Prototypes live on the unit sphere."""
        normalize_weight(self.prototypes.weight)  # type: ignore[arg-type]
