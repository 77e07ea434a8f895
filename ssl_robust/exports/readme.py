"""The README of an export: what the encoder is, how it is loaded without this project, what it must not be used for."""

from __future__ import annotations

from pathlib import Path

from ssl_robust.encoders.card import Card
from ssl_robust.files import replacing

_NOT_FOR = "For research use. It is not a medical device."


def write(directory: Path, title: str, card: Card, snippet: str, *, front_matter: str = "") -> None:
    """Write `README.md`.

    Args:
        directory: of the export.
        title: name of the encoder.
        card: its card.
        snippet: Python that loads it and embeds `images`, values in [0, 1].
        front_matter: YAML for the hub, with its dashes.
    """
    parts = [f"# {title}", f"{card.in_words()}. {_NOT_FOR}", f"```python\n{snippet}\n```", "\n".join(_facts(card))]
    if card.transfer:
        parts += ["## Measured on other scans", _markdown(card)]
    if card.training_command:
        parts += ["## How it was trained", f"    {card.training_command}"]
    with replacing(directory / "README.md") as temporary:
        temporary.write_text(front_matter + "\n\n".join(parts) + "\n", encoding="utf-8")


def timm_snippet(card: Card) -> str:
    """Python that loads `encoder.safetensors` with timm alone."""
    arguments = f"\n    **{card.model_args}," if card.model_args else ""
    return f"""\
import timm, torch

model = timm.create_model(
    "{card.architecture}", num_classes=0, in_chans={card.in_chans}, checkpoint_path="encoder.safetensors",{arguments}
).eval()
{embedding(card)}"""


def embedding(card: Card) -> str:
    """Python that embeds scans with `model`."""
    return f"""\
mean, std = (torch.tensor(values).view(-1, 1, 1) for values in ({card.mean}, {card.std}))
images = torch.rand(8, {card.in_chans}, {card.input_size}, {card.input_size})  # yours, values in [0, 1]
with torch.inference_mode():
    features = model((images - mean) / std)"""


def _facts(card: Card) -> list[str]:
    margins = {"pad": "black margins make it square", "squash": "it is stretched to a square"}
    return [
        f"- Input: {card.in_chans} channel{'s' * (card.in_chans > 1)}, {card.input_size} px; "
        f"{margins.get(card.resize, card.resize)}. {card.scaling}",
        f"- Pretraining: {card.method}, {card.epochs} epochs on {card.n_scans:,} scans"
        + (f": {', '.join(card.trained_on)}" if card.trained_on else ""),
        *([f"- It began with: {card.starts_from}"] if card.starts_from else []),
        f"- Licence of these scans: {card.data_licence or 'not said'}",
    ]


def _markdown(card: Card) -> str:
    columns = list(dict.fromkeys(name for row in card.transfer for name in row))
    rows = [columns, ["---"] * len(columns), *([row.get(name, "") for name in columns] for row in card.transfer)]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
