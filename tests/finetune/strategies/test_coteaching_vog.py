import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ssl_robust.finetune.selection import GradientWindow
from ssl_robust.finetune.strategy import Evaluation


def test_variances_are_of_the_last_five_epochs_of_each_network(problem, silent):
    """What the strategy picks by equals a window that was given every epoch, from outside."""
    loop, strategy = problem(counts=(20, 20, 20)).loop("coteaching_vog", n_epochs=9, warmup_epochs=4)
    labels = loop.given
    outside = [GradientWindow(60, loop.models[0].head.in_features) for _ in range(2)]
    for epoch in range(9):
        if epoch:
            for number, window in enumerate(outside):
                window.add(loop.evaluate(number), labels)
        loop.epoch(epoch, silent())
        for number, window in enumerate(outside):
            if epoch < 4:
                assert strategy.variances[number] is None
            else:
                torch.testing.assert_close(strategy.variances[number], window.variance())
    assert not torch.equal(strategy.variances[0], strategy.variances[1])


def test_the_training_set_is_only_looked_at_where_the_window_needs_it(problem):
    _, strategy = problem(counts=(20, 20, 20)).loop("coteaching_vog", n_epochs=40, warmup_epochs=12)
    asked = []

    def evaluate(number):
        asked[-1] += 1
        return Evaluation(torch.zeros(60, 60), torch.zeros(60, 3), torch.arange(60))

    for epoch in range(14):
        asked.append(0)
        strategy.plan_epoch(epoch, evaluate)
    assert asked == [0] * 8 + [2] * 6


def test_picks_after_the_warmup_equal_the_selection_written_out(problem, silent):
    loop, strategy = problem(counts=(20, 20, 20)).loop("coteaching_vog", n_epochs=8, assumed_noise_rate=0.4)
    for epoch in range(7):
        loop.epoch(epoch, silent())
    indices = np.random.default_rng(0).permutation(60)[:30]
    with torch.no_grad():
        logits = loop.models[0](loop.inputs.plain(indices))
    losses = F.cross_entropy(logits, loop.given[indices], reduction="none")
    picks = strategy.pick(0, losses, torch.from_numpy(indices), 0.4)
    small = np.argsort(losses.numpy())[:14]  # floor(0.8 * 18)
    rest = np.setdiff1d(np.arange(30), small)
    variance = strategy.variances[0].numpy()[indices]
    settled = rest[np.argsort(variance[rest])][:3]  # floor(0.2 * 18)
    np.testing.assert_array_equal(picks, [*small, *settled])


def test_a_share_that_cannot_be_is_one_sentence(problem):
    with pytest.raises(ValueError, match=r"variance_share=1\.5; expected a share"):
        problem().loop("coteaching_vog", variance_share=1.5)
