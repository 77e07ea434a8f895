"""LeJEPA: views of a scan meet at their mean, and all scans together follow a standard normal distribution."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from lightly.loss.lejepa_loss import SIGReg, lejepa_invariance_loss
from lightly.models.modules.heads import LeJEPAProjectionHead
from torch import Tensor

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, encode_together
from ssl_robust.records import Crop, Progress


class LeJEPA(Method):
    """Invariance and SIGReg; Balestriero and LeCun 2025, arXiv 2511.08544.

    Neither negatives nor a teacher: projections that are standard normal in every direction cannot collapse. Whether
    they are, the test of Epps and Pulley tells, along directions that are drawn anew in every step.

    Args:
        encoder: what is pretrained.
        crops: the first kind are the views whose mean the others shall meet.
        sigreg_weight: lambda of the loss; the invariance gets the rest.
        n_directions: along which the distribution is tested.
        n_knots: frequencies of the characteristic function at which it is compared.
        largest_frequency: the last of them.
        hidden_dim: width of the projector.
        output_dim: dimensions of the projections.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        sigreg_weight: float,
        n_directions: int,
        n_knots: int,
        largest_frequency: float,
        hidden_dim: int,
        output_dim: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.sigreg_weight = sigreg_weight
        self.projector = LeJEPAProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.sigreg = SIGReg(knots=n_knots, t_max=largest_frequency, num_vectors=n_directions, gather_distributed=True)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Lambda times the test's statistic, and (1 - lambda) times the squared distance from the mean view."""
        features = torch.cat(encode_together(self.encoder, views))
        projections = self.projector(features).unflatten(0, (len(views), -1))  # (V, B, D)
        invariance = lejepa_invariance_loss(all_proj=projections, global_proj=projections[: self.crops[0].n])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*all_reduce.*")  # lightly uses torch's older form of it
            distance = self.sigreg(projections)
        return {"loss": self.sigreg_weight * distance + (1 - self.sigreg_weight) * invariance}
