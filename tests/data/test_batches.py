import numpy as np
import pytest

from ssl_robust.data.batches import Batches
from ssl_robust.data.manifest import build_manifest
from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.sources import ArraySource


@pytest.fixture
def scans():
    images = np.arange(20, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 8, 8, 1), np.uint8)
    manifest = build_manifest(
        {"sample_id": [f"s{i}" for i in range(20)], "label": [i % 3 for i in range(20)]}, ArraySource(images, "x"),
        classes=None, fractions={"val": 0.1, "test": 0.2}, split_seed=0, where="x")  # fmt: skip
    return ScanSet(manifest, images, "pad")


def orders(scans, *epochs, seed=0, **options):
    batches = Batches(
        scans, range(2, 20), **{"batch_size": 5, "shuffle": True, "drop_last": False, **options}, seed=seed
    )
    found = []
    for epoch in epochs:
        batches.set_epoch(epoch)
        found.append([batch.indices.tolist() for batch in batches])
        assert len(found[-1]) == len(batches)
    return found


def test_the_order_is_a_function_of_seed_and_epoch(scans):
    first, second, again = orders(scans, 0, 1, 0)
    assert first == again
    assert first != second
    assert orders(scans, 1) == [second], "no memory of the epochs before"
    assert orders(scans, 0, seed=1) != [first]
    assert sorted(row for batch in first for row in batch) == list(range(2, 20))


def test_processes_share_every_batch(scans):
    options = {"batch_size": 4, "drop_last": True}
    whole = orders(scans, 3, **options)[0]
    parts = [orders(scans, 3, **options, rank=rank, n_ranks=2)[0] for rank in range(2)]
    assert [first + second for first, second in zip(*parts, strict=True)] == whole
    for wrong in ({"batch_size": 5, "drop_last": True}, {"batch_size": 4, "drop_last": False}):
        with pytest.raises(ValueError, match="for 2 processes; expected full batches of equal parts"):
            orders(scans, 0, **wrong, rank=0, n_ranks=2)


def test_a_continued_epoch_leaves_out_what_is_done(scans):
    batches = Batches(scans, range(20), batch_size=4, seed=0, shuffle=True, drop_last=True)
    whole = [batch.indices.tolist() for batch in batches]
    batches.set_epoch(0, first=3)
    assert [batch.indices.tolist() for batch in batches] == whole[3:]
    assert len(batches) == 5


def test_sizes(scans):
    assert [len(batch) for batch in orders(scans, 0)[0]] == [5, 5, 5, 3]
    assert [len(batch) for batch in orders(scans, 0, drop_last=True)[0]] == [5, 5, 5]
    assert [row for batch in orders(scans, 3, shuffle=False)[0] for row in batch] == list(range(2, 20))


def test_images_and_labels_belong_to_the_indices(scans):
    for labels in (None, np.arange(20)):
        for batch in Batches(scans, range(20), batch_size=6, seed=0, shuffle=True, drop_last=False, labels=labels):
            assert batch.images[:, 0, 0, 0].tolist() == batch.indices.tolist()
            expected = batch.indices % 3 if labels is None else batch.indices
            assert batch.labels.tolist() == expected.tolist()


def test_wrong_arguments(scans):
    with pytest.raises(ValueError, match=r"batch_size=0"):
        Batches(scans, [0], batch_size=0, seed=0, shuffle=True, drop_last=False)
    with pytest.raises(ValueError, match=r"labels has 3 entries for 20 scans"):
        Batches(scans, [0], batch_size=1, seed=0, shuffle=True, drop_last=False, labels=np.zeros(3))
