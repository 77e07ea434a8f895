"""DINO: the student's view of a crop matches the distribution that a slowly moving teacher gives to the whole."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, encode_together
from ssl_robust.pretrain.momentum import frozen_copy, rising_momentum
from ssl_robust.records import Crop, Progress


class DINO(Method):
    """Self-distillation without labels; Caron et al. 2021, arXiv 2104.14294, algorithm 1 and eq. 3, with multi-crop.

    What the authors count in epochs is a share of the run here, so that short runs are scaled alike.

    Args:
        encoder: what is pretrained (the student).
        crops: the first kind are the views that the teacher sees; the student sees all.
        student_temperature: tau_s of eq. 1.
        teacher_temperature: tau_t, at the start and after `warmup`.
        warmup: share of the run in which the teacher's temperature rises.
        center_momentum: m of eq. 4.
        momentum: lambda, by which the teacher stays what it was; rises to 1 over the run.
        frozen: share of the run in which the last layer stays as it is.
        weight_decay: at the start and at the end of the run.
        clip: largest norm of all gradients together.
        hidden_dim: width of the head.
        bottleneck_dim: width before its last layer.
        output_dim: K.
        batch_norm: whether the head normalises over the batch.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        student_temperature: float,
        teacher_temperature: Sequence[float],
        warmup: float,
        center_momentum: float,
        momentum: float,
        frozen: float,
        weight_decay: Sequence[float],
        clip: float,
        hidden_dim: int,
        bottleneck_dim: int,
        output_dim: int,
        batch_norm: bool,
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.teacher_temperature, self.warmup, self.momentum = teacher_temperature, warmup, momentum
        self.frozen, self.weight_decay, self.clip = frozen, weight_decay, clip
        # The teacher's head is built anew: a weight-normalised layer cannot be deep-copied.
        widths = (encoder.dim, hidden_dim, bottleneck_dim, output_dim)
        self.head, self.teacher_head = (_head(*widths, batch_norm=batch_norm) for _ in range(2))
        self.teacher_head.load_state_dict(self.head.state_dict())
        self.teacher_head.requires_grad_(False)
        self.teacher = frozen_copy(encoder)
        self.criterion = DINOLoss(output_dim, student_temp=student_temperature, center_momentum=center_momentum)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Cross-entropy of every student view with each other large view of the teacher."""
        large = views[: self.crops[0].n]
        with torch.no_grad():
            targets = [self.teacher_head(features) for features in encode_together(self.teacher, large)]
        predicted = [self.head(features) for features in encode_together(self.encoder, views)]
        start, end = self.teacher_temperature
        temperature = start + (end - start) * min(1.0, progress.fraction / max(self.warmup, 1e-9))
        return {"loss": self.criterion(targets, predicted, teacher_temp=temperature)}

    def schedules(self) -> dict[str, Callable[[Progress], float]]:
        """Weight decay along half a cosine."""
        start, end = self.weight_decay
        return {"weight_decay": lambda progress: cosine_schedule(progress.step, progress.total_steps, start, end)}

    def after_backward(self, progress: Progress) -> None:
        """Clip the gradients; hold the last layer still at first."""
        clip_grad_norm_(self.parameters(), self.clip)
        if progress.fraction < self.frozen:
            for parameter in self.head.last_layer.parameters():
                parameter.grad = None

    def after_step(self, progress: Progress) -> None:
        """The teacher follows."""
        momentum = rising_momentum(progress, self.momentum)
        update_momentum(self.encoder, self.teacher, momentum)
        update_momentum(self.head, self.teacher_head, momentum)


def _head(*widths: int, batch_norm: bool) -> DINOProjectionHead:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*weight_norm.*")  # lightly uses torch's older form of it
        return DINOProjectionHead(*widths, batch_norm=batch_norm)
