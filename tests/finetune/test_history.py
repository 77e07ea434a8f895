from types import SimpleNamespace

import numpy as np
import pytest

from ssl_robust.finetune.history import History, memorised
from ssl_robust.finetune.task import Task


def one_hot(codes, n_classes=2):
    return np.eye(n_classes)[np.asarray(codes)]


def task(*, val=(2, 3)):
    """Rows 0, 1 train; 2, 3 val; 4, 5 test. The labels of rows 1 and 3 are wrong."""
    given, truth = np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 0, 0, 0, 1])
    manifest = SimpleNamespace(classes=("a", "b"))
    rows = {"train": np.array([0, 1]), "val": np.array(val, dtype=int), "test": np.array([4, 5])}
    return Task(manifest, **rows, given=given, truth=truth, corruption=None)


def test_best_is_chosen_by_the_noisy_validation_labels():
    history = History(task())
    train = one_hot([0, 0])
    right, noisy = one_hot([0, 0]), one_hot([0, 1])  # of the validation rows: true labels, given labels
    assert history.add(train, right, one_hot([0, 1]))
    assert history.add(train, noisy, one_hot([0, 0]))  # worse on the test split, yet the one that a user would take
    assert not history.add(train, noisy, one_hot([0, 1]))  # as good: the first stays
    best = history.best()
    assert best["epoch"] == 2
    assert best["balanced_accuracy"] == 0.5
    np.testing.assert_array_equal(history.best_test, one_hot([0, 0]))


def test_the_last_epoch_may_be_kept_whatever_the_validation_labels_say():
    history = History(task(), keep="last")
    assert history.add(one_hot([0, 0]), one_hot([0, 1]), one_hot([0, 0]))
    assert history.add(one_hot([0, 0]), one_hot([1, 0]), one_hot([0, 1]))
    assert history.best()["epoch"] == 2
    np.testing.assert_array_equal(history.best_test, one_hot([0, 1]))


def test_last_is_the_mean_of_the_last_five_epochs():
    history = History(task())
    correct = [0, 0, 2, 1, 1, 0, 2]
    answers = {0: [1, 0], 1: [0, 0], 2: [0, 1]}
    for epoch, n in enumerate(correct):
        history.add(one_hot([0, epoch % 2]), one_hot([0, 0]), one_hot(answers[n]))
    last = history.last()
    assert last["n_epochs"] == 5
    assert last["accuracy"] == pytest.approx(np.mean(correct[-5:]) / 2)
    assert last["memorised"] == pytest.approx(2 / 5)  # epochs 3 and 5 of 2..6
    # The true labels are 0 and 1: the share of hits, class by class, gives the same mean.
    np.testing.assert_allclose(history.last_correct(), [4 / 5, 2 / 5])
    assert history.last_correct().mean() == pytest.approx(last["balanced_accuracy"])


def test_last_of_a_short_run_is_the_mean_of_what_there_is():
    history = History(task())
    history.add(one_hot([0, 0]), one_hot([0, 0]), one_hot([0, 1]))
    assert history.last()["n_epochs"] == 1
    assert history.last()["accuracy"] == 1


def test_without_validation_the_last_epoch_is_taken():
    history = History(task(val=()))
    empty = np.empty((0, 2))
    assert history.add(one_hot([0, 0]), empty, one_hot([0, 1]))
    assert history.add(one_hot([0, 0]), empty, one_hot([0, 0]))
    assert history.best()["epoch"] == 2


def test_memorised_and_recovered():
    given, truth = np.array([0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 2])
    got = memorised(given, truth, one_hot([0, 1, 0, 1, 1], 3))
    assert got == {"memorised": pytest.approx(1 / 3), "recovered": pytest.approx(1 / 3)}
    assert np.isnan(memorised(truth, truth, one_hot(truth, 3))["memorised"])


def test_state_survives_a_checkpoint(tmp_path):
    import torch

    history = History(task())
    history.add(one_hot([0, 1]), one_hot([0, 0]), one_hot([0, 1]), loss=1.5)
    torch.save(history.state_dict(), tmp_path / "last.ckpt")
    again = History(task())
    again.load_state_dict(torch.load(tmp_path / "last.ckpt", weights_only=True))
    for each in (history, again):
        each.add(one_hot([0, 0]), one_hot([0, 1]), one_hot([0, 0]), loss=1.0)
    assert again.best() == history.best()
    assert again.last() == history.last()
    again.write_dynamics(tmp_path / "dynamics.npz")
    saved = np.load(tmp_path / "dynamics.npz")
    assert saved["loss"].shape == saved["margin"].shape == (2, 2)
    assert saved["loss"].dtype == np.float16
    assert saved["rows"].tolist() == [0, 1]
    assert "vog" not in saved
