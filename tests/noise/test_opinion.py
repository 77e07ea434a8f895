"""What answers of an expert do to an opinion; without answers `test_believed` and the audit's own tests look at it."""

import numpy as np
import pytest

from ssl_robust.neighbors import UnitRows
from ssl_robust.noise.opinion import form_opinion
from ssl_robust.settings import defaults

SETTINGS = defaults("", "_opinion")
N, K = 600, 3
RATES = np.array([0.4, 0.1, 0.1])  # class 0 is taken for class 1, others rarely for the next


def form(vectors, given, groups=None, **options):
    groups = np.arange(len(given)) if groups is None else groups
    unit = UnitRows(vectors, center=True)
    return form_opinion(unit, given, groups, n_classes=K, probe=SETTINGS["probe"],
                        noise_model=SETTINGS["noise_model"], seed=0, **options)  # fmt: skip


@pytest.fixture(scope="module")
def noisy():
    """Vectors of classes that overlap, the truth, labels; the answers to the 90 most suspect labels."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, K, N)
    vectors = (np.eye(K, 8)[truth] + 0.45 * rng.normal(size=(N, 8))).astype(np.float32)
    given = np.where(rng.random(N) < RATES[truth], (truth + 1) % K, truth)
    suspects = np.argsort(-form(vectors, given).wrong(given))[:90]
    answers = np.full(N, -1)
    answers[suspects] = truth[suspects]
    return vectors, truth, given, answers


def test_answers_are_believed_and_nobody_who_was_not_asked(noisy):
    vectors, _, given, answers = noisy
    found = form(vectors, given, answers=answers).posterior
    known = answers >= 0
    np.testing.assert_array_equal(found[known], np.eye(K)[answers[known]])
    assert (found[~known].max(axis=1) < 1).all()


def test_no_answer_is_the_opinion_without_answers(noisy):
    vectors, _, given, _ = noisy
    np.testing.assert_array_equal(
        form(vectors, given, answers=np.full(N, -1)).posterior, form(vectors, given).posterior
    )


def test_the_noise_stays_that_of_all_labels_although_the_worst_are_mended(noisy):
    vectors, truth, given, answers = noisy
    real = np.array([[np.mean(given[truth == c] == j) for j in range(K)] for c in range(K)])
    found = form(vectors, given, answers=answers).noise.transition
    assert np.abs(found - real).max() < 0.1
    # With the mended labels in place of those given, the noise seems to be gone, and the errors that are left with it.
    mended = form(vectors, np.where(answers >= 0, answers, given)).noise.transition
    assert mended[0, 1] < real[0, 1] - 0.1


def test_errors_that_are_left_are_found_more_easily(noisy):
    vectors, truth, given, answers = noisy
    rest = answers < 0
    wrong = given[rest] != truth[rest]

    def ranked(opinion):
        score = opinion.wrong(given)[rest]
        return np.mean(score[wrong, None] > score[~wrong])

    assert ranked(form(vectors, given, answers=answers)) > ranked(form(vectors, given))


def test_the_order_of_samples_and_classes_changes_nothing(noisy):
    vectors, _, given, answers = noisy
    rng = np.random.default_rng(1)
    order, renamed = rng.permutation(N), np.array([2, 0, 1])
    turned = np.where(answers >= 0, renamed[answers], -1)
    found = form(vectors[order], renamed[given][order], answers=turned[order]).posterior
    plain = form(vectors, given, answers=answers).posterior
    np.testing.assert_allclose(found[:, renamed], plain[order], atol=2e-3)


def test_of_copies_the_one_that_was_answered_teaches(noisy):
    """Whichever of two comes first: an answer to either one is heard, and the twin's wrong label is not."""
    vectors, truth, given, _ = noisy
    wrong = np.flatnonzero(given != truth)[:1].repeat(2)
    twice, labels = np.concatenate([vectors, vectors[wrong]]), np.append(given, given[wrong])
    pictures = np.full(N + 2, -1)
    pictures[N:] = 0
    groups = np.append(np.arange(N), [N, N])
    for answered in (N, N + 1):
        answers = np.full(N + 2, -1)
        answers[answered] = truth[wrong[0]]
        found = form(twice, labels, groups, pictures=pictures, answers=answers).counts
        assert found[N:].tolist() == [answered == N, answered == N + 1]
