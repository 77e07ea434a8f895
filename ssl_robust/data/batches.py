"""Batches of scans in an order that is a function of the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ssl_robust.data.scanset import ScanSet
from ssl_robust.records import Batch


class Batches:
    """Iterable over some rows of a `ScanSet`, for a plain loop or a Lightning trainer.

    Args:
        scans: where the pixels are.
        rows: (n,) rows of the manifest.
        batch_size: scans per batch, of all processes together.
        seed: seed of the order.
        shuffle: a new order each epoch, or the order of `rows`.
        drop_last: leave out a last batch that is not full.
        labels: (N,) codes for the whole manifest to use in place of its own.
        rank: which of `n_ranks` processes this is; each has its equal part of every batch.
        n_ranks: how many processes there are.

    Raises:
        ValueError: batch_size is not positive or cannot be divided by `n_ranks`, or `labels` is not as long as the
            manifest.
    """

    def __init__(
        self,
        scans: ScanSet,
        rows: Sequence[int] | np.ndarray,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool,
        drop_last: bool,
        labels: np.ndarray | None = None,
        rank: int = 0,
        n_ranks: int = 1,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}; expected at least 1")
        if batch_size % n_ranks or not (drop_last or n_ranks == 1):
            raise ValueError(f"batch_size={batch_size} for {n_ranks} processes; expected full batches of equal parts")
        if labels is not None and len(labels) != len(scans):
            raise ValueError(f"labels has {len(labels)} entries for {len(scans)} scans; expected one each")
        self.scans = scans
        self.rows = np.asarray(rows, dtype=np.int64)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self._seed = seed
        self._labels = scans.manifest.codes() if labels is None else np.asarray(labels, dtype=np.int64)
        self._part = (rank * batch_size // n_ranks, (rank + 1) * batch_size // n_ranks)
        self._epoch = self._first = 0

    def set_epoch(self, epoch: int, first: int = 0) -> None:
        """Choose the order of the next iteration; the same epoch gives the same order.

        Args:
            epoch: number of the epoch.
            first: batches of it that are done already; the next iteration leaves them out.
        """
        self._epoch, self._first = epoch, first

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        n = len(self.rows)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self.rows
        if self.shuffle:
            order = np.random.default_rng((self._seed, self._epoch)).permutation(self.rows)
        for index in range(self._first, len(self)):
            batch = order[index * self.batch_size : (index + 1) * self.batch_size]
            yield self.scans.batch(batch[slice(*self._part)], self._labels)
