"""Nearest neighbours by cosine similarity; the only room that imports FAISS.

Whoever needs neighbours (audit, probes, monitor) gets them here, so that the graph has one owner and one set of rules:
a sample is never its own neighbour, its group never vouches for it, similarities have six decimals, and ties go to the
lower row. `search` and `query` are exact; `build_graph` is exact where that is quick and searches among the cells near
a sample where it is not. `nearest_by_class` looks beyond a graph for the nearest of the own class and of the others.
"""

from ssl_robust.neighbors.choice import INDEXES
from ssl_robust.neighbors.classes import nearest_by_class
from ssl_robust.neighbors.exact import query, search
from ssl_robust.neighbors.graph import Graph, build_graph
from ssl_robust.neighbors.own import leave_out, of_everyone, search_own
from ssl_robust.neighbors.saved import fingerprint, read_graph, save_graph
from ssl_robust.neighbors.unit import UnitRows

__all__ = [
    "INDEXES", "Graph", "UnitRows", "build_graph", "fingerprint", "leave_out", "nearest_by_class", "of_everyone",
    "query", "read_graph", "save_graph", "search", "search_own",
]  # fmt: skip
