"""Quick classifiers on embeddings: neighbours' votes, logistic regression, and out-of-fold opinions on doubtful labels.

They say how good an encoder is without training a network on top, and they are the second opinion of an audit.
"""

from ssl_robust.probes.quick import knn_predict, logistic_probe

__all__ = ["knn_predict", "logistic_probe"]
