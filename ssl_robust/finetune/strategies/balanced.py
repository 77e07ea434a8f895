"""Every class alike: what is believed of the labels, with logits adjusted for how frequent the classes truly are."""

from __future__ import annotations

from torch import Tensor

from ssl_robust.finetune.adjustment import adjustment, checked_strength
from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategies.audit_clean import AuditClean
from ssl_robust.records import TrainInfo


class Balanced(AuditClean):
    """The loss of `AuditClean` on logits f(x) + strength log(prior), prior = mean of the targets.

    A network that is trained so and asked for f(x) alone answers as if all classes were equally frequent, which is what
    balanced accuracy asks for (logit adjustment, Menon et al. 2021, arXiv 2007.07314, eq. 10). Their prior is that of
    the labels; labels that are wrong make rare classes look frequent, so it is that of the believed ones here.

    Args:
        audit: as in `AuditClean`, like the three that follow.
        mode: there.
        threshold: there.
        keep_per_class: there.
        strength: tau; 0 = `AuditClean`.
    """

    offsets: Tensor  # (K,)

    def __init__(self, *, audit: str | None, mode: str, threshold: float, keep_per_class: int, strength: float) -> None:
        super().__init__(audit=audit, mode=mode, threshold=threshold, keep_per_class=keep_per_class)
        self.strength = checked_strength(strength)

    def start(self, info: TrainInfo) -> None:
        """Ask for what is believed of the labels, and count the classes by it."""
        super().start(info)
        counts = (self.weights[:, None] * self.targets).sum(dim=0)
        self.register_buffer("offsets", adjustment(counts, self.strength))

    def logits(self, model: Classifier, images: Tensor) -> Tensor:
        """(B, K) adjusted by the prior."""
        return model(images) + self.offsets

    def logit_offsets(self) -> Tensor:
        """(K,) strength log(prior); see `Strategy.logit_offsets`."""
        return self.offsets
