"""Which scans show the same picture: what tells one scan from all others, which pairs stand out, whom they join.

Scans of one kind look alike, so no fixed similarity tells copies from relatives: chest X-rays of two children correlate
more than an ultrasound picture and its second print. A pair counts where its similarity stands out from those of both
samples with their nearest others. `check` finds its candidates among the pixels alone, `audit` among the vectors.
"""

from ssl_robust.duplicates.clusters import Clusters, join
from ssl_robust.duplicates.pairs import Pairs, above_usual, copies, correlations
from ssl_robust.duplicates.pictures import FINE, Look, digests, in_grey, look_at, structure

__all__ = [
    "FINE", "Clusters", "Look", "Pairs", "above_usual", "copies", "correlations", "digests", "in_grey", "join",
    "look_at", "structure",
]  # fmt: skip
