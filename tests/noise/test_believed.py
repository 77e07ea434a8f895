import numpy as np

from ssl_robust.noise.believed import believe
from ssl_robust.settings import compose

SETTINGS = compose("finetune", ["data=phantoms", "checkpoint=none"])


def test_wrong_labels_are_not_believed():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    vectors = (np.eye(3, 16)[truth] * 3 + rng.normal(size=(600, 16))).astype(np.float32)
    wrong = rng.random(600) < 0.2
    given = np.where(wrong, (truth + 1) % 3, truth)
    found = believe(vectors, given, np.arange(600), n_classes=3, settings=SETTINGS, seed=0)
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, atol=1e-5)
    assert (found.posterior.argmax(axis=1) == truth).mean() > 0.95
    assert abs(found.rate - wrong.mean()) < 0.03
    assert abs(found.transition[0, 1] - 0.2) < 0.1
    assert found.transition[0, 2] < 0.05
