import numpy as np
import pytest

from ssl_robust.relabel.experts import make_expert
from ssl_robust.settings import defaults

TRUTH = np.arange(3000) % 3


def expert(name, **values):
    return make_expert(defaults("expert", name) | values, TRUTH, n_classes=3, seed=0)


def test_a_perfect_expert_is_charged_for_every_answer_also_again():
    asked = expert("perfect")
    assert asked.answer([0, 1, 5, 1]) == [0, 1, 2, 1]
    assert asked.charged == 4


def test_unsure_stays_unsure_and_is_charged():
    asked = expert("perfect", unsure=0.3)
    answers = asked.answer(range(3000))
    assert asked.charged == 3000
    assert 0.27 < np.mean([answer is None for answer in answers]) < 0.33
    assert asked.answer(range(3000)) == answers


def test_a_noisy_expert_is_charged_for_each_draw_until_a_majority():
    asked = expert("noisy", accuracy=0.8, majority=2, most=9)
    answers = np.array(asked.answer(range(3000)))
    right = 0.8**2 * (1 + 2 * 0.2) + 2 * 0.8**2 * 0.1 * 0.1 * 3  # two of two or three draws, or after one of each other
    assert (answers == TRUTH).mean() == pytest.approx(right, abs=0.03)
    assert 2.2 < asked.charged / 3000 < 2.5


def test_draws_without_a_majority_end_unsure():
    even = expert("noisy", accuracy=1 / 3, majority=3, most=3)
    answers = even.answer(range(3000))
    assert even.charged == 9000
    assert np.mean([answer is not None for answer in answers]) == pytest.approx(1 / 9, abs=0.02)


def test_a_matrix_says_who_is_taken_for_whom():
    asked = expert("noisy", matrix=[[0, 1, 0], [0, 1, 0], [0.5, 0, 0.5]], majority=1)
    answers = np.array(asked.answer(range(3000)))
    assert set(answers[TRUTH == 0]) == {1}
    assert (answers[TRUTH == 2] == 0).mean() == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match="3 rows of 3"):
        expert("noisy", matrix=[[1, 0], [0, 1]])
