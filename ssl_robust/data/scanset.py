"""The scans of a manifest, decoded, at one size: the only thing that stages read pixels from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_robust.data.cache import cache_directory, decoded
from ssl_robust.data.decoding import Geometry
from ssl_robust.data.found import say_found
from ssl_robust.data.manifest import Manifest, complete, load_manifest
from ssl_robust.data.splits import SPLITS
from ssl_robust.files import printable
from ssl_robust.records import Batch
from ssl_robust.run import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 1 << 22  # pixels at a time where all are read
_SAMPLE = 64  # scans whose channels are compared


@dataclass(frozen=True)
class ScanSet:
    """Scans and their table; row i of both is the same scan.

    Attributes:
        manifest: the readable scans.
        pixels: (N, S, S, C) uint8 or uint16, C = 1 or 3; usually a read-only memory map.
        resize: how the squares were made, "pad" or "squash".
        unreadable: `{"sample_id", "reason"}` of the scans that were left out.
    """

    manifest: Manifest
    pixels: np.ndarray
    resize: str
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def image_size(self) -> int:
        """Side of the scans in pixels."""
        return self.pixels.shape[1]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.pixels.shape[3]

    def say_found(self) -> None:
        """Print one line about the scans; see `ssl_robust.data.found`."""
        color = "RGB" if self.channels == 3 else "grey"
        if self.channels == 3 and not np.ptp(self.pixels[:_SAMPLE], axis=3).any():
            color = "grey in three channels"
        say_found(self.manifest, f"scans, {color}, {self.image_size} px")

    @cached_property
    def _codes(self) -> np.ndarray:
        return self.manifest.codes()

    def batch(self, rows: Sequence[int] | np.ndarray, labels: np.ndarray | None = None) -> Batch:
        """Some scans as tensors.

        Args:
            rows: (B,) rows of the manifest, any order, perhaps repeated.
            labels: (N,) codes to use in place of the manifest's.

        Returns:
            images (B, C, S, S) as stored, in channels_last memory order; labels and indices (B,) int64.
        """
        import torch

        rows = np.asarray(rows, dtype=np.int64)
        codes = (self._codes if labels is None else np.asarray(labels))[rows]
        images = torch.from_numpy(np.asarray(self.pixels[rows])).permute(0, 3, 1, 2)
        return Batch(images, torch.from_numpy(codes.astype(np.int64)), torch.from_numpy(rows.copy()))

    def statistics(self, rows: Sequence[int] | np.ndarray) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel over the given scans, values in [0, 1].

        Args:
            rows: (n,) rows of the manifest, n > 0.

        Raises:
            ValueError: no rows.
        """
        rows = np.sort(np.asarray(rows, dtype=np.int64))
        if len(rows) == 0:
            raise ValueError("statistics of no scans; give at least one row")
        top = int(np.iinfo(self.pixels.dtype).max)
        counts = np.zeros((self.channels, top + 1), dtype=np.int64)
        step = max(1, _CHUNK // self.image_size**2)
        for start in range(0, len(rows), step):
            block = self.pixels[rows[start : start + step]]
            for channel in range(self.channels):
                counts[channel] += np.bincount(block[..., channel].ravel(), minlength=top + 1)
        shares, values = counts / counts.sum(axis=1, keepdims=True), np.arange(top + 1) / top
        mean = shares @ values
        return mean.tolist(), np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1)).tolist()


@dataclass(frozen=True)
class FoundScans:
    """Scans that are known, but not decoded yet.

    Attributes:
        manifest: all of them, those that cannot be read as well.
        geometry: the shape asked for.
        cache: folder of decoded scans.
        max_unreadable: the share of them that may be left out.
    """

    manifest: Manifest
    geometry: Geometry
    cache: Path
    max_unreadable: float


def open_scans(
    data: Mapping[str, Any],
    *,
    image_size: int | None = None,
    channels: int | None = None,
    resize: str | None = None,
    window: Any = None,
) -> ScanSet:
    """Read the manifest, decode its scans (once; later calls open the cache), leave out what cannot be read.

    Args:
        data: the `data` node of a configuration.
        image_size: what a checkpoint asks for; yields to a number in `data.image_size`.
        channels: what a checkpoint asks for; yields to a number in `data.channels`.
        resize: what a checkpoint asks for; yields to pad or squash in `data.resize`.
        window: what a checkpoint asks for; yields to anything but auto in `data.window`, where files are read.

    Raises:
        UserError: an option has a wrong value, or more than `data.max_unreadable` of the scans cannot be read.
    """
    known = find_scans(data, image_size=image_size, channels=channels, resize=resize, window=window)
    manifest = known.manifest
    found = decoded(manifest.source, len(manifest), known.geometry, known.cache)
    ids = manifest.table["sample_id"]
    unreadable = [{"sample_id": str(ids[each["row"]]), "reason": str(each["reason"])} for each in found.unreadable]
    if unreadable:
        _report(unreadable, len(manifest), known.max_unreadable)
        lost = [each["row"] for each in found.unreadable]
        manifest = manifest.take(np.delete(np.arange(len(manifest)), lost))
    return ScanSet(manifest, found.pixels, known.geometry.resize, unreadable)


def find_scans(
    data: Mapping[str, Any],
    *,
    image_size: int | None = None,
    channels: int | None = None,
    resize: str | None = None,
    window: Any = None,
) -> FoundScans:
    """What `open_scans` does before it decodes: options are checked and the manifest is read.

    Args:
        data: as there, like the others.
        image_size: as there.
        channels: as there.
        resize: as there.
        window: as there.

    Raises:
        UserError: an option has a wrong value.
    """
    settings = complete(data)
    geometry = Geometry(
        _number(settings["image_size"], "image_size", "auto or a number of pixels, 8 to 4096", range(8, 4097))
        or image_size,
        _number(settings["channels"], "channels", "auto, 1 or 3", (1, 3)) or channels,
        _resize(settings["resize"]) or resize or "pad",
    )
    if settings["split"] not in (*SPLITS, "all"):
        raise UserError(f"data.split={settings['split']} does not exist; expected {', '.join(SPLITS)} or all")
    if settings.get("window") == "auto" and window is not None:
        settings["window"] = window
    cache = cache_directory(settings["cache_dir"])
    return FoundScans(load_manifest(settings), geometry, cache, float(settings["max_unreadable"]))


def _report(unreadable: list[dict[str, str]], n: int, limit: float) -> None:
    """Name the scans that are left out, or stop if they are too many."""
    shown = "; ".join(f"{each['sample_id']} ({each['reason']})" for each in unreadable[:5])
    more = f" and {len(unreadable) - 5} more" if len(unreadable) > 5 else ""
    if len(unreadable) > limit * n:
        raise UserError(
            f"{len(unreadable)} of {n} scans cannot be read, more than data.max_unreadable={limit:g} allows: "
            f"{shown}{more}; repair or remove them, or go without them: "
            f"data.max_unreadable={_share(len(unreadable), n):g}"
        )
    print(f"Left out {len(unreadable)} of {n} scans that cannot be read: {printable(shown)}{more}", flush=True)


def _share(part: int, n: int) -> float:
    """In whole hundredths, rounded up."""
    return -(-100 * part // n) / 100


def _resize(value: Any) -> str | None:
    """pad or squash, None for "auto"."""
    if value not in ("auto", None, "pad", "squash"):
        raise UserError(f"data.resize={value} is not known; expected auto, pad or squash")
    return None if value == "auto" else value


def _number(value: Any, name: str, expected: str, allowed: Sequence[int]) -> int | None:
    """A number out of `allowed`, None for "auto"."""
    if value in ("auto", None):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise UserError(f"data.{name}={value} does not fit; expected {expected}")
    return value
