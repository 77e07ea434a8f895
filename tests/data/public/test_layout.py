import pytest

from ssl_robust.data.public.layout import Layout
from ssl_robust.files import UserError

HOME = "https://example.org/set"


def layout(root):
    return Layout(str(root), HOME, landmark="train")


def test_a_set_that_lies_there_twice_is_not_guessed(tmp_path):
    for version in ("MURA-v1.0", "MURA-v1.1"):
        (tmp_path / version / "train").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds train in MURA-v1.0 and in MURA-v1.1; give one of them"):
        layout(tmp_path)
    assert layout(tmp_path / "MURA-v1.1").root.name == "MURA-v1.1"


def test_an_archive_unpacked_into_a_folder_of_its_name(tmp_path):
    (tmp_path / "train" / "a" / "a").mkdir(parents=True)
    assert layout(tmp_path).folder("train") == "train"
    assert layout(tmp_path).folder("train/a") == "train/a/a"


def test_only_images_are_scans_and_their_order_is_that_of_their_names(tmp_path, add_images):
    add_images(tmp_path, "train/b.PNG", "train/a/2.jpg", "train/10.tif", "train/.hidden/x.png")
    (tmp_path / "train" / "LICENSE.txt").write_text("x")
    assert layout(tmp_path).images("train") == ["train/10.tif", "train/a/2.jpg", "train/b.PNG"]


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "set.csv").write_bytes(b"x")
    with pytest.raises(UserError, match=rf"set.csv is a file; give a folder; .* download it from {HOME}"):
        layout(tmp_path / "set.csv")


def test_an_archive_that_was_not_unpacked_need_not_come_again(tmp_path):
    (tmp_path / "set.zip").write_bytes(b"x")
    with pytest.raises(UserError, match=r"set.zip is still packed; unpack it and give the folder$"):
        layout(tmp_path / "set.zip")
    mend = f"unpack the .zip that lies there, or download the set from {HOME} and unpack it there$"
    with pytest.raises(UserError, match=rf"holds no folder 'train'; give the folder that does, or {mend}"):
        layout(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match=rf"holds no folder 'test'; {mend}"):
        layout(tmp_path).folder("test")


def test_the_outermost_folder_that_is_missing_is_named(tmp_path):
    (tmp_path / "train" / "a").mkdir(parents=True)
    for name, missing in (
        ("test/a/images", "test"),
        ("train/b/images", "train/b"),
        ("train/a/images", "train/a/images"),
    ):
        with pytest.raises(UserError, match=rf"holds no folder '{missing}'; download"):
            layout(tmp_path).images(name)
