"""DivideMix: what is probably wrongly labelled is learned from without its label."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.division import clean_probability, divide, sharpen
from ssl_robust.finetune.mixing import mix
from ssl_robust.finetune.strategy import Evaluation, Strategy, Stream, fitting_warmup
from ssl_robust.records import Batch, TrainInfo


class DivideMix(Strategy):
    """Two networks, each of which divides the samples for the other (Li et al. 2020, arXiv 2002.07394).

    After a warm-up, samples of small loss keep their labels as far as they are believed, the others get the opinion of
    both networks, and all are mixed with one another (algorithm 1).

    Args:
        warmup_epochs: of plain cross-entropy; half of the run at most.
        confidence_penalty: weight of the negative entropy in the warm-up (eq. 2), for class-dependent noise; 0 = none.
        p_threshold: tau, probability of a right label from which on a sample counts as labelled.
        temperature: T, of sharpening; 1 = none.
        alpha: of mixup's Beta distribution.
        lambda_u: weight of the samples without label.
        rampup_epochs: over which that weight rises from 0, after the warm-up.
        class_prior: what the mean prediction is pulled towards: "estimated", how often each class is believed
            to occur, or "uniform", the paper's, which suits a balanced set.
    """

    n_models = 2

    def __init__(
        self, *, warmup_epochs: int, confidence_penalty: float, p_threshold: float, temperature: float, alpha: float,
        lambda_u: float, rampup_epochs: int, class_prior: str,
    ) -> None:  # fmt: skip
        super().__init__()
        if class_prior not in ("estimated", "uniform"):
            raise ValueError(f"class_prior={class_prior}; expected estimated or uniform")
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}; expected a number above 0")
        if not 0 <= p_threshold <= 1:
            raise ValueError(f"p_threshold={p_threshold}; expected a probability, e.g. 0.5")
        amounts = {"confidence_penalty": confidence_penalty, "alpha": alpha, "lambda_u": lambda_u,
                   "rampup_epochs": rampup_epochs}  # fmt: skip
        for name, value in amounts.items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name}={value}; expected a number from 0 on")
        self.warmup_epochs, self.confidence_penalty = warmup_epochs, confidence_penalty
        self.p_threshold, self.temperature, self.alpha = p_threshold, temperature, alpha
        self.lambda_u, self.rampup_epochs, self.class_prior = lambda_u, rampup_epochs, class_prior

    def start(self, info: TrainInfo) -> None:
        """See `Strategy.start`."""
        super().start(info)
        self.labels, self.n_classes = info.labels, info.n_classes
        self.warmup = fitting_warmup(self.warmup_epochs, info)
        uniform = np.full(self.n_classes, 1 / self.n_classes)
        prior = info.believe().posterior.mean(axis=0) if self.class_prior == "estimated" else uniform
        self.register_buffer("prior", torch.from_numpy(prior.astype(np.float32)))
        # Row k: believed by the *other* network, for the training of network k; made anew in every epoch.
        self.register_buffer("clean", torch.ones(self.n_models, self.n_samples), persistent=False)

    def plan_epoch(self, epoch: int, evaluate: Callable[[int], Evaluation]) -> list[dict[str, Stream]]:
        """In the warm-up all samples; then for each network those that the other believes, and the rest."""
        if epoch < self.warmup:
            return [{"labelled": Stream(np.arange(self.n_samples), n_views=1)} for _ in range(self.n_models)]
        plan = []
        for number in range(self.n_models):
            logits = evaluate(1 - number).logits
            losses = F.cross_entropy(logits, self.labels, reduction="none").numpy()
            labelled, believed = divide(clean_probability(losses), self.p_threshold)
            self.clean[number] = torch.from_numpy(believed.astype(np.float32))  # type: ignore[index]
            parts = {"labelled": np.flatnonzero(labelled), "unlabelled": np.flatnonzero(~labelled)}
            plan.append({name: Stream(rows, n_views=2) for name, rows in parts.items()})
        return plan

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Cross-entropy in the warm-up, MixMatch after it; see `Strategy.losses`."""
        if epoch < self.warmup:
            return [self._warm(model, named["labelled"]) for model, named in zip(models, batches, strict=True)]
        with _evaluating(models):  # all targets are set before any network is trained
            targets = [self._targets(models, number, named) for number, named in enumerate(batches)]
        weight = self.lambda_u * min(1.0, (epoch - self.warmup) / max(1, self.rampup_epochs))
        return [self._mixed(*each, weight=weight) for each in zip(models, batches, targets, strict=True)]

    def _warm(self, model: Classifier, batch: Batch) -> Tensor:
        logs = model(batch.images[0]).log_softmax(dim=1)
        negative_entropy = (logs.exp() * logs).sum(dim=1).mean()
        return F.nll_loss(logs, batch.labels) + self.confidence_penalty * negative_entropy

    def _targets(self, models: Sequence[Classifier], number: int, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        """(B, K) of each stream: co-refinement and co-guessing, both sharpened (section 3.2)."""
        labelled = batches["labelled"]
        given = F.one_hot(labelled.labels, self.n_classes).float()
        w = self.clean[number, labelled.indices][:, None]  # type: ignore[index]
        targets = {"labelled": sharpen(w * given + (1 - w) * _opinion(models[number], labelled), self.temperature)}
        if unlabelled := batches.get("unlabelled"):
            guess = torch.stack([_opinion(model, unlabelled) for model in models]).mean(dim=0)
            targets["unlabelled"] = sharpen(guess, self.temperature)
        return targets

    def _mixed(
        self, model: Classifier, batches: Mapping[str, Batch], targets: Mapping[str, Tensor], *, weight: float
    ) -> Tensor:
        """MixMatch's losses (section 3.2), every view of every stream with the target of its sample."""
        names = list(targets)  # "labelled" first
        images = torch.cat([batches[name].images.flatten(0, 1) for name in names])
        repeated = [targets[name].repeat(len(batches[name].images), 1) for name in names]
        images, mixed = mix(images, torch.cat(repeated), self.alpha)
        logs = model(images).log_softmax(dim=1)
        n_labelled = len(repeated[0])
        loss = -(mixed[:n_labelled] * logs[:n_labelled]).sum(dim=1).mean()
        if len(logs) > n_labelled:
            loss = loss + weight * F.mse_loss(logs[n_labelled:].exp(), mixed[n_labelled:])  # also the mean over classes
        return loss + _divergence(self.prior, logs.exp().mean(dim=0))  # type: ignore[arg-type]


def _opinion(model: Classifier, batch: Batch) -> Tensor:
    """(B, K) mean softmax over the views."""
    n_views, n = batch.images.shape[:2]
    return model(batch.images.flatten(0, 1)).softmax(dim=1).view(n_views, n, -1).mean(dim=0)


def _divergence(prior: Tensor, mean: Tensor) -> Tensor:
    """KL(prior | mean prediction); a class that is never there adds nothing."""
    return (torch.xlogy(prior, prior) - prior * mean.clamp_min(1e-8).log()).sum()


@contextlib.contextmanager
def _evaluating(models: Sequence[Classifier]) -> Iterator[None]:
    """Without gradients, and with batch normalisation as in prediction, so that targets leave no trace in a model."""
    for model in models:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for model in models:
            model.train()
