"""Scores of single labels: pure functions of arrays, in [0, 1], higher = more likely mislabelled."""
