"""Encoders as text: a table of those that are there, and all that is known of one."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ssl_robust.encoders.card import Card
from ssl_robust.encoders.places import (
    DEFAULT,
    WEIGHTS,
    card_of,
    default_checkpoint,
    find_checkpoint,
    name_of,
    shipped_checkpoints,
)
from ssl_robust.run import UserError

_HEAD = ("name", "architecture", "channels", "px", "method", "trained on", "scans' licence", "MB")
_WIDEST = 40  # characters of a column
_NONE = "No encoder ships with this version; `ssl-robust checkpoints list DIR` lists those of the runs below DIR."


def listed(directory: str | Path | None = None) -> str:
    """One line per encoder.

    Args:
        directory: look below it; None: the encoders that ship.

    Raises:
        UserError: there is no such directory, or no encoder in it.
    """
    if directory is None:
        found = shipped_checkpoints()
        if not found:
            return _NONE
        chosen = default_checkpoint()
        return _table(_rows(found)) + (f"\n\n{DEFAULT} = {chosen}" if chosen else "")
    root = Path(directory)
    if not root.is_dir():
        raise UserError(f"{root} is no directory; give one with pretrain runs below it")
    found = {str(place.relative_to(root)): place for place in _below(root)}
    if not found:
        raise UserError(f"no {WEIGHTS} lies below {root}; give a directory with pretrain runs below it")
    return _table(_rows({root.name if name == "." else name: place for name, place in found.items()}))


def shown(name: str | Path) -> str:
    """The card of an encoder, its measured transfer and the text beside it.

    Args:
        name: as for `find_checkpoint`.

    Raises:
        UserError: there is no such encoder, or its card is broken.
    """
    directory = find_checkpoint(name)
    card = card_of(directory)
    left_out = ("transfer", "trained_on")
    facts = {key: value for key, value in asdict(card).items() if key not in left_out and value not in ("", {}, [])}
    facts["trained_on"] = ", ".join(card.trained_on) or "not said"
    facts["size on disk"] = f"{_megabytes(directory)} MB"
    lines = [f"{name_of(name)}: {card.in_words()}", ""]
    for key, value in facts.items():
        lines += textwrap.wrap(f"{key.replace('_', ' '):<18}{value}", 100, subsequent_indent=" " * 18)
    if card.transfer:
        lines += ["", "Measured on other scans:", _table_of_transfer(card.transfer)]
    text = directory / "README.md"
    if text.is_file():
        lines += ["", text.read_text(encoding="utf-8").strip()]
    return "\n".join(lines)


def _below(root: Path) -> list[Path]:
    return sorted(Path(place) for place, _, files in os.walk(root) if WEIGHTS in files)


def _rows(found: Mapping[str, Path]) -> list[list[str]]:
    rows = []
    for name, directory in found.items():
        try:
            card = card_of(directory)
        except UserError as error:
            print(f"Note: left out {name}: {error}", file=sys.stderr)
            continue
        rows.append([name, card.architecture, str(card.in_chans), str(card.input_size), card.method, _learned(card),
                     card.data_licence or "not said", _megabytes(directory)])  # fmt: skip
    return [list(_HEAD), *rows]


def _learned(card: Card) -> str:
    sets = ", ".join(card.trained_on)
    count = f"{card.n_scans:,} scans" if card.n_scans else ""
    return ": ".join(each for each in (count, sets) if each) or "not said"


def _megabytes(directory: Path) -> str:
    return f"{sum(file.stat().st_size for file in directory.glob('*.safetensors')) / 1e6:.1f}"


def _table_of_transfer(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return _table([columns, *([str(row.get(name, "")) for name in columns] for row in rows)])


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest entry; long entries are cut."""
    cut = [[textwrap.shorten(cell, _WIDEST, placeholder=" …") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cut) for column in range(len(cut[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cut
    )
