import os
import time

import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.doctor.caches import decoded_sets

DAY = 86400


@pytest.fixture
def others(cache, tmp_path):
    """Files in the cache's folder that are not of this package, or not whole."""
    key = "0123abcd-" + 8 * "0f1e"
    stranger = tmp_path / "stranger.npy"
    stranger.write_bytes(b"a thesis")
    contents = {
        "notes.txt": "mine",
        "results.json": '{"bytes": 1, "unreadable": []}',
        f"{key}.json": '{"something": "else"}',
        f"{key}.npy": "named alike, but nobody describes it",
        f"f{key}.json": '{"bytes": 1, "unreadable": []}',
        "folder/inside.npy": "deeper",
    }
    for name, text in contents.items():
        (cache / name).parent.mkdir(exist_ok=True)
        (cache / name).write_text(text)
    return [*(cache / name for name in contents), stranger]


def test_what_was_decoded_is_listed_and_deleted_and_nothing_else(said, decode, others, cache):
    decode(24)
    decode(16)
    before = sum(file.stat().st_size for file in cache.glob("*") if file not in others and file.is_file())
    code, out, _ = said("clear-cache")
    assert code == 0
    assert "Nothing was deleted" in out  # nobody is there to ask
    assert str(cache) not in out
    sets = decoded_sets(cache)
    assert len(sets) == 2
    assert sum(each.n_bytes for each in sets) == before
    code, out, _ = said("clear-cache", "yes=true")
    assert "Deleted 2 sets" in out
    assert decoded_sets(cache) == []
    assert {file for file in cache.rglob("*") if file.is_file()} == set(others[:-1])
    assert "nothing to delete" in said("clear-cache", "yes=true")[1]
    assert len(decode(24)) == 30  # and again


def test_links_are_not_followed(said, decode, others, cache):
    decode(24)
    (found,) = decoded_sets(cache)
    array = next(file for file in found.files if file.suffix == ".npy")
    array.unlink()
    array.symlink_to(others[-1])
    linked = cache / ("76543210-" + 8 * "0f1e" + ".json")
    elsewhere = others[-1].with_name("description.json")
    elsewhere.write_text('{"bytes": 1, "unreadable": []}')
    linked.symlink_to(elsewhere)
    assert len(decoded_sets(cache)) == 1
    said("clear-cache", "yes=true")
    assert others[-1].read_bytes() == b"a thesis"
    assert elsewhere.is_file()
    assert linked.is_symlink()
    assert array.is_symlink()


def test_only_what_was_not_used_for_long(said, decode, cache):
    decode(24)
    (old,) = decoded_sets(cache)
    decode(16)
    for file in old.files:
        os.utime(file, (time.time() - 40 * DAY,) * 2)
    assert "holds no set of decoded scans that was not used for 50 days" in said("clear-cache", "older=50d")[1]
    assert "40 days ago" in said("clear-cache", "older=30d")[1]
    assert "Deleted 1 set," in said("clear-cache", "older=30d", "yes=true")[1]
    (left,) = decoded_sets(cache)
    assert left.files != old.files


def test_opening_a_set_counts_as_use(decode, cache):
    decode(24)
    (found,) = decoded_sets(cache)
    now = time.time()
    for file in found.files:
        os.utime(file, (now - 40 * DAY, now - 50 * DAY))
    assert decoded_sets(cache)[0].used == pytest.approx(now - 40 * DAY, abs=1)


@pytest.mark.parametrize(("answer", "left"), [("yes", 0), ("y", 1), ("", 1)])
def test_a_terminal_is_asked(said, decode, cache, monkeypatch, answer, left):
    decode(24)
    monkeypatch.setattr("ssl_robust.doctor.clearing._somebody_is_there", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    said("clear-cache")
    assert len(decoded_sets(cache)) == left


def test_another_folder(said, tmp_path):
    code, out, _ = said("clear-cache", f"data.cache_dir={tmp_path / 'nowhere'}", "yes=true")
    assert code == 0
    assert "nothing to delete" in out
    assert not (tmp_path / "nowhere").exists()


def test_what_headers_say_is_cleared_with_the_scans(said, cache, tmp_path):
    page = Image.fromarray(np.zeros((8, 8), np.uint8))
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page])
    load_manifest(data_settings("folder", path=str(tmp_path)))
    (kept,) = cache.iterdir()
    alike = kept.with_name("headers-" + 32 * "0" + ".npz")
    np.savez(alike, thesis=np.arange(3))
    assert kept.stem[:17] in said("clear-cache")[1]
    os.utime(kept, (time.time() - 60 * DAY,) * 2)
    said("clear-cache")  # looking at it is no use of it
    assert "60 days ago" in said("clear-cache", "older=30d")[1]
    assert "Deleted 1 set," in said("clear-cache", "yes=true")[1]
    assert list(cache.iterdir()) == [alike]
