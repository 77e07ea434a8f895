"""Scores of single labels: pure functions of an `Evidence`, in [0, 1], higher = more likely mislabelled.

    name(evidence, *, settings) -> (N,) float

Deterministic, without I/O, without an N x N array; the same whatever the order of the samples and the names of the
classes. A formula without bounds goes through one of the two increasing maps of `bounded`. The settings of each are in
`configs/score/<name>.yaml`, which is all that a new score needs besides its function: the contract test finds it.

    knn                 share of the neighbours' votes against the label
    neg_log             -log of the share for it (SimiFeat)
    simifeat_rank       the same vote, cut per class by the class's share of wrong labels (SimiFeat)
    reliability         votes weighted by how soon a voter's own neighbours agree with it (WANN)
    intra_extra         distance to the own class against distance to the others (SelfClean)
    self_confidence     1 - out-of-fold probability of the label
    normalized_margin   that probability against the largest other one
    joint               cross-entropy of the label less the entropy of an ambiguous scan
    aum, mean_loss, vog margins, losses and gradients while a classifier was trained on the labels
"""
