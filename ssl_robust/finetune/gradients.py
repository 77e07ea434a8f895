"""What the last layers say while the training samples are predicted: the gradients of the last epochs, summed up.

They are taken from the pass without augmentation that follows every epoch anyway, so that they cost no other one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.noise.dynamics import LAST_EPOCHS, GradientSpread, last_layer_gradients


class Gradients:
    """Grows in each of the last five epochs of a run; its state is plain numbers and tensors.

    Args:
        given: (N,) codes of the training samples as given.
        n_epochs: of the whole run; 0: nothing is recorded.
    """

    def __init__(self, given: np.ndarray, *, n_epochs: int) -> None:
        self.given, self.n_epochs = given, n_epochs
        self._spreads: dict[int, GradientSpread] = {}  # by number of the model

    @contextlib.contextmanager
    def watching(self, models: Sequence[Classifier], epoch: int) -> Iterator[None]:
        """Record the predictions made inside, if the epoch is one of the last five.

        Args:
            models: predict all training samples once, in order; a model that is not asked is left out.
            epoch: from 0.
        """
        if epoch < self.n_epochs - LAST_EPOCHS or not self.n_epochs:
            yield
            return
        places = [0] * len(models)
        handles = [model.head.register_forward_hook(self._hook(number, places)) for number, model in enumerate(models)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        if not set(places) <= {0, len(self.given)}:
            raise RuntimeError(f"models were asked for {places} predictions of {len(self.given)} training samples")

    def variance(self) -> np.ndarray | None:
        """(N,) float32 variance of gradients, mean over the models; None before two epochs are recorded."""
        known = [each.variance() for each in self._spreads.values() if each.n_epochs > 1]
        return np.mean(known, axis=0) if known else None

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: by number of the model, plain numbers and tensors."""
        return {
            str(number): (each.n_epochs, torch.from_numpy(each.mean), torch.from_numpy(each.squares))
            for number, each in self._spreads.items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        for number, (n_epochs, mean, squares) in state.items():
            self._spreads[int(number)] = GradientSpread(n_epochs, mean.cpu().numpy(), squares.cpu().numpy())

    def _hook(self, number: int, places: list[int]) -> Any:
        """What a head calls with the features that enter it and its logits."""

        def record(head: nn.Module, inputs: tuple[Tensor], logits: Tensor) -> None:
            features = inputs[0].detach().float().cpu().numpy()
            start = places[number]
            rows = slice(start, start + len(features))
            places[number] += len(features)
            given = torch.from_numpy(self.given[rows])
            own = logits.detach().float().softmax(dim=1).cpu()[torch.arange(len(given)), given].numpy()
            gradients = last_layer_gradients(features, own)
            if number not in self._spreads:
                self._spreads[number] = GradientSpread.empty(len(self.given), gradients.shape[1])
            if start == 0:
                self._spreads[number].start_epoch()
            self._spreads[number].add(rows, gradients)

        return record
