import numpy as np
import pytest

from ssl_robust.relabel.queue import Rules, fill_queue

N = 60
PLAIN = {"n": 20, "control": 0.0, "repeat": 0.0, "class_quota": 0.0, "per_patient": False, "shuffled": False}


def fill(scores=None, *, closed=(), labels=None, patients=None, clusters=None, permutation=None, seed=0, **rules):
    done = np.zeros(N, dtype=bool)
    done[list(closed)] = True
    return fill_queue(
        np.arange(N, 0, -1.0) if scores is None else scores, Rules(**(PLAIN | rules)), closed=done,
        labels=np.zeros(N, dtype=int) if labels is None else labels,
        patients=np.arange(N) if patients is None else patients,
        clusters=np.full(N, -1) if clusters is None else clusters,
        permutation=np.arange(N)[::-1] if permutation is None else permutation, seed=seed,
    )  # fmt: skip


def test_the_highest_scores_in_their_order():
    found = fill(closed=[0, 2])
    assert found.rows.tolist() == [1, *range(3, 22)]
    assert set(found.shown) == {"rank"}


def test_control_scans_are_the_next_of_the_random_order_and_mixed_in():
    found = fill(control=0.2, closed=[59])
    control = found.rows[found.shown == "control"]
    assert control.tolist() == [58, 57, 56, 55]
    assert found.rows[found.shown == "rank"].tolist() == list(range(16))
    assert len(found) == 20
    places = [np.flatnonzero(fill(control=0.2, seed=seed).shown == "control").mean() for seed in range(50)]
    assert 7 < np.mean(places) < 12


def test_a_scan_that_is_drawn_and_suspect_is_shown_once_as_control():
    found = fill(control=0.1, permutation=np.arange(N))
    assert found.rows[found.shown == "control"].tolist() == [0, 1]
    assert sorted(found.rows.tolist()) == list(range(20))


def test_repeats_come_last_and_are_of_this_round():
    found = fill(repeat=0.1, control=0.1)
    assert found.shown[-2:].tolist() == ["repeat", "repeat"]
    assert len(found) == 20
    assert set(found.rows[-2:]) <= set(found.rows[:-2])
    assert found.rows[-1] != found.rows[-2]


def test_one_scan_of_a_cluster_the_most_suspect():
    clusters = np.full(N, -1)
    clusters[[1, 3, 5]] = 0
    clusters[[2, 4]] = 1
    assert fill(clusters=clusters, n=5).rows.tolist() == [0, 1, 2, 6, 7]


def test_a_copy_of_what_was_or_will_be_shown_is_not_asked_unless_it_is_drawn():
    clusters = np.full(N, -1)
    clusters[[1, 59]] = 0  # 59 is the first of the random order
    clusters[[2, 40]] = 1
    clusters[[58, 41]] = 2
    found = fill(clusters=clusters, closed=[40, 41], n=5, control=0.4)
    assert found.rows[found.shown == "control"].tolist() == [59, 58]
    assert found.rows[found.shown == "rank"].tolist() == [0, 3, 4]


def test_a_quota_brings_rare_classes_and_the_rest_goes_by_score():
    labels = np.repeat([0, 1, 2], [50, 8, 2])
    found = fill(labels=labels, class_quota=0.6, n=10)
    assert np.bincount(labels[found.rows]).tolist() == [6, 2, 2]
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5, 50, 51, 58, 59]
    assert len(fill(labels=labels, class_quota=1.0, n=40)) == 40


def test_patients_are_opened_whole_by_what_their_scans_bring_together():
    scores = np.zeros(N)
    scores[0], scores[10:15], scores[20:25] = 0.9, 0.3, 0.1
    found = fill(scores, patients=np.arange(N) // 5, per_patient=True, n=2, closed=[12])
    assert found.rows.tolist() == [10, 11, 13, 14, 0, 1, 2, 3, 4]
    drawn = fill(scores, patients=np.arange(N) // 5, per_patient=True, n=4, control=0.5)
    assert sorted(drawn.rows[drawn.shown == "control"].tolist()) == [58, 59]  # of one patient, who is opened once
    assert sorted(drawn.rows.tolist()) == sorted([*range(10, 15), *range(5), *range(55, 60)])


def test_where_patients_are_opened_nothing_is_kept_back_for_repeats():
    found = fill(patients=np.arange(N) // 2, per_patient=True, n=10, repeat=0.2)
    assert len(np.unique(found.rows // 2)) == 10
    assert set(found.shown) == {"rank"}


def test_an_answered_scan_does_not_keep_its_patient_closed():
    scores = np.zeros(N)
    scores[0], scores[1] = 0.9, -1
    scores[4], scores[5] = 0.3, -1
    found = fill(scores, patients=np.arange(N) // 2, per_patient=True, n=2)
    assert found.rows[[0, 2]].tolist() == [0, 4]


def test_of_copies_in_patients_one_is_asked():
    clusters = np.full(N, -1)
    clusters[[0, 1, 40]] = 0  # 40 was queued before
    clusters[[2, 3]] = 1
    scores = np.arange(N, 0, -1.0) + 100 * (np.arange(N) == 2)
    found = fill(scores, clusters=clusters, patients=np.arange(N) // 10, per_patient=True, n=1, closed=[40])
    assert found.rows.tolist() == [2, 4, 5, 6, 7, 8, 9]


def test_a_hidden_order_shows_the_same_scans():
    found = fill(shuffled=True, control=0.2)
    plain = fill(control=0.2)
    assert sorted(found.rows) == sorted(plain.rows)
    assert found.rows.tolist() != plain.rows.tolist()
    # A bound counts control draws in the order of drawing.
    assert found.rows[found.shown == "control"].tolist() == plain.rows[plain.shown == "control"].tolist()


@pytest.mark.parametrize("per_patient", [False, True])
def test_no_more_than_there_is(per_patient):
    found = fill(n=100, control=0.1, closed=range(50), per_patient=per_patient)
    assert sorted(found.rows.tolist()) == list(range(50, 60))
    assert len(fill(n=5, closed=range(60), per_patient=per_patient)) == 0
