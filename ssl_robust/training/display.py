"""What a person sees of a running training: a bar on a terminal, a plain line per epoch elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm


class Display:
    """Progress over the whole run.

    Args:
        first_epoch: epochs done before (a resumed run).
        n_epochs: epochs of the whole run.
        scans_per_epoch: scans that one epoch shows.
        shown: columns of metrics.csv -> format on a line, e.g. `{"loss": "loss {:.4f}"}`.
        enabled: False: silence.
    """

    def __init__(
        self, *, first_epoch: int, n_epochs: int, scans_per_epoch: int, shown: Mapping[str, str], enabled: bool
    ) -> None:
        self.enabled, self.shown = enabled, shown
        self.n_epochs, self.first_epoch = n_epochs, first_epoch
        self._started = time.monotonic()
        self._bar = tqdm(
            total=n_epochs * scans_per_epoch,
            initial=first_epoch * scans_per_epoch,
            desc=f"epoch {first_epoch + 1}/{n_epochs}",
            unit=" scans",
            unit_scale=True,
            dynamic_ncols=True,
            leave=False,
            disable=not (enabled and sys.stderr.isatty()),
        )

    def advance(self, n_scans: int) -> None:
        """Some scans have been learnt from."""
        self._bar.update(n_scans)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """An epoch is over; `row` is what metrics.csv got."""
        done = row["epoch"]
        self._bar.set_description(f"epoch {min(done + 1, self.n_epochs)}/{self.n_epochs}", refresh=False)
        # What is nan (the memorised share without a wrong label) says nothing on a line.
        parts = [text.format(row[name]) for name, text in self.shown.items() if not math.isnan(row.get(name, math.nan))]
        if done > self.first_epoch:
            left = (time.monotonic() - self._started) / (done - self.first_epoch) * (self.n_epochs - done)
            parts.append(f"{tqdm.format_interval(left)} left")
        self.say(f"epoch {done}/{self.n_epochs}  " + "  ".join(parts))

    def say(self, text: str) -> None:
        """One line, above the bar where there is one."""
        if self.enabled:
            self._bar.write(text, file=sys.stdout)
            sys.stdout.flush()

    def close(self) -> None:
        """Take the bar off the screen."""
        self._bar.close()
