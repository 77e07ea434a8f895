"""A small network on fixed vectors, with dropout, whose training can be watched: for samplers that need such a thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssl_robust.noise.dynamics import LAST_EPOCHS


@dataclass(frozen=True)
class Watched:
    """What a head made of N scans.

    Attributes:
        drawn: (S, N, K) predictions, each with dropout of its own.
        epochs: (E, N, K) predictions without dropout after each of the last epochs.
    """

    drawn: np.ndarray
    epochs: np.ndarray


def train_head(
    vectors: np.ndarray, labels: np.ndarray, *, n_classes: int, seed: int, hidden: int, dropout: float, epochs: int,
    batch_size: int, lr: float, weight_decay: float, draws: int,
) -> Watched:  # fmt: skip
    """Fit vectors -> dropout -> hidden -> dropout -> classes to labels as they are, classes weighted alike.

    Args:
        vectors: (N, D).
        labels: (N,) ints in [0, K).
        n_classes: K.
        seed: of weights, batches and dropout.
        hidden: units; 0: none, a linear head.
        dropout: share of vectors' entries and of units that is left out.
        epochs: of training, by AdamW.
        batch_size: scans a step.
        lr: its rate, which falls to zero along a cosine.
        weight_decay: its decay.
        draws: S.
    """
    import torch
    from torch import nn

    seen = torch.from_numpy(((vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 1e-6)).astype(np.float32))
    given = torch.from_numpy(labels)
    sizes = torch.bincount(given, minlength=n_classes).clamp(min=1)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of weights and dropout
        body = [nn.Dropout(dropout), nn.Linear(seen.shape[1], hidden), nn.ReLU()] if hidden else []
        head = nn.Sequential(*body, nn.Dropout(dropout), nn.Linear(hidden or seen.shape[1], n_classes))
        loss = nn.CrossEntropyLoss(weight=len(given) / (n_classes * sizes))
        optimizer = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        last = []
        for epoch in range(epochs):
            head.train()
            for rows in torch.randperm(len(given), generator=generator).split(batch_size):
                optimizer.zero_grad()
                loss(head(seen[rows]), given[rows]).backward()
                optimizer.step()
            schedule.step()
            if epoch >= epochs - LAST_EPOCHS:
                last.append(_predict(head.eval(), seen))
        drawn = [_predict(head.train(), seen) for _ in range(draws)]
    return Watched(np.array(drawn).reshape(draws, len(given), n_classes), np.array(last))


def _predict(head, seen) -> np.ndarray:  # noqa: ANN001
    import torch

    with torch.no_grad():
        return torch.softmax(head(seen), dim=1).numpy()
