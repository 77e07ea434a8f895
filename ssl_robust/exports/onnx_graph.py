"""A graph in ONNX from scans to features, with the normalisation inside and any number of scans in a batch."""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ssl_robust.encoders.card import Card
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.exports import readme
from ssl_robust.run import UserError

if TYPE_CHECKING:
    from onnx import ModelProto

FILE = "encoder.onnx"
_NEEDED = ("onnx", "onnxscript")  # torch translates with them


class Graph(nn.Module):
    """(N, C, S, S) values in [0, 1] -> (N, D): what `Encoder.forward` computes, in operations that translate."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.model = encoder.timm
        self.register_buffer("mean", encoder.mean_buffer)
        self.register_buffer("std", encoder.std_buffer)

    def forward(self, images: Tensor) -> Tensor:
        return self.model((images - self.mean) / self.std)


def graph_of(encoder: Encoder) -> torch.export.ExportedProgram:
    """What torch traces of the encoder, for any number of scans."""
    side = encoder.input_size
    images = torch.rand(2, encoder.in_chans, side, side)
    return torch.export.export(Graph(encoder).eval(), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))


def _without_traces(model: ModelProto) -> ModelProto:
    """Forget what torch notes of each operation, the lines of Python behind it among them: paths of this machine."""
    graphs = [model.graph, *model.functions]
    for graph in graphs:  # grows by what operations hold
        for node in graph.node:
            del node.metadata_props[:]
            graphs += [each.g for each in node.attribute if each.HasField("g")]
    return model


def write(encoder: Encoder, directory: Path, card: Card, title: str) -> None:
    """Write the graph and its README.

    Args:
        encoder: in evaluation mode, on the CPU.
        directory: of the export.
        card: its card.
        title: its name.

    Raises:
        UserError: a library is missing, or torch cannot translate this architecture.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(f'format=onnx needs {" and ".join(missing)}; install them with pip install "ssl-robust[onnx]"')
    side = card.input_size
    heard = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            warnings.simplefilter("ignore")  # the exporter's own, about operators nobody here uses
            program = torch.onnx.export(
                graph_of(encoder), input_names=["images"], output_names=["features"], dynamo=True
            )
        assert program is not None  # as no file was named
        (directory / FILE).write_bytes(_without_traces(program.model_proto).SerializeToString())
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"torch cannot translate {card.architecture} to ONNX ({reason}); use format=timm") from None
    snippet = f"""\
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("{FILE}")
images = np.random.rand(8, {card.in_chans}, {side}, {side}).astype(np.float32)  # yours, values in [0, 1]
(features,) = session.run(None, {{"images": images}})  # (8, {encoder.dim}); the normalisation is inside"""
    readme.write(directory, title, card, snippet)
