import pytest

from ssl_robust.run import Run, UserError, append_row, read_run


def start(path, stage="audit", **how):
    return Run(path, stage=stage, config={"seed": 0, **how.pop("config", {})}, **how)


@pytest.fixture
def old(tmp_path):
    """A finished run with a result."""
    with start(tmp_path / "A") as run:
        (run / "audit.csv").write_text("precious")
    return tmp_path / "A"


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def test_a_mistake_found_late_puts_the_old_run_back(old):
    with pytest.raises(UserError, match="no labels"), start(old, overwrite=True):
        assert not (old / "audit.csv").exists()
        raise UserError("no labels")
    assert (old / "audit.csv").read_text() == "precious"
    assert read_run(old)["finished"]
    assert names(old.parent) == ["A"]


def test_the_old_run_goes_once_the_new_one_has_ended(old):
    with start(old, overwrite=True) as run:
        (run / "audit.csv").write_text("new")
        assert names(old.parent) == [".A.replaced", "A"]
    assert (old / "audit.csv").read_text() == "new"
    assert names(old.parent) == ["A"]


def test_a_half_done_replacement_keeps_both_and_says_so(old, capsys):
    with pytest.raises(RuntimeError), start(old, overwrite=True) as run:
        (run / "last.ckpt").write_text("half")
        raise RuntimeError
    kept = old.parent / ".A.replaced"
    assert str(kept) in capsys.readouterr().err
    assert (kept / "audit.csv").read_text() == "precious"
    with start(old, resume=True) as run:
        assert (run / "last.ckpt").exists()
        assert "has not ended" in capsys.readouterr().err
    assert names(old.parent) == ["A"]


def test_a_kill_while_replacing_loses_nothing(old, capsys):
    start(old, overwrite=True).__enter__()  # killed: never left
    with pytest.raises(UserError, match="no labels"), start(old, overwrite=True):
        raise UserError("no labels")
    assert (old.parent / ".A.replaced" / "audit.csv").read_text() == "precious"
    with start(old, overwrite=True):
        pass
    assert "goes once this run has ended" in capsys.readouterr().err
    assert names(old.parent) == ["A"]


def test_what_must_not_be_replaced(old):
    with pytest.raises(UserError, match="holds a run of the stage audit, which pretrain does not replace"):
        start(old, stage="pretrain", overwrite=True)
    for config in ({"checkpoint": str(old)}, {"data": {"path": str(old / "x" / "scans.csv")}}):
        with pytest.raises(UserError, match=r"(checkpoint|data.path)=.* lies in out="):
            start(old, overwrite=True, config=config)
    start(old, overwrite=True, config={"checkpoint": "none", "data": ["data=folder"]})
    with start(old / "nested"):
        pass
    with pytest.raises(UserError, match=r"holds other runs \(nested\)"):
        start(old, overwrite=True)
    assert (old / "audit.csv").read_text() == "precious"


def test_a_linked_directory_is_replaced_where_it_lies(old, tmp_path):
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link"
    link.symlink_to(old, target_is_directory=True)
    with start(link, overwrite=True) as run:
        (run / "audit.csv").write_text("new")
    assert link.is_symlink()
    assert (old / "audit.csv").read_text() == "new"


@pytest.mark.parametrize(("epochs", "kept"), [([0], False), ([0, 1], True)])
def test_the_look_before_the_first_epoch_alone_is_nothing_to_keep(old, epochs, kept):
    with pytest.raises(RuntimeError), start(old.parent / "B") as run:
        for epoch in epochs:
            append_row(run / "metrics.csv", {"epoch": epoch, "knn": 0.5})
        raise RuntimeError
    assert (old.parent / "B").exists() == kept


def test_a_directory_that_cannot_be_made(old):
    place = old / "audit.csv" / "x"
    with pytest.raises(UserError, match=r"out=.*cannot be made \(.*; choose another out="), start(place):
        pytest.fail("must not start")


def test_a_directory_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # root, as whom tests may run, can write anywhere
    with pytest.raises(UserError, match="cannot be written to; choose another out="), start(tmp_path / "x"):
        pytest.fail("must not start")
