from pathlib import Path

import pytest

from ssl_robust.doctor.words import between, duration, shown, size


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_234_567, "1.2 MB"), (25e9, "25.0 GB"), (300e9, "300 GB")],
)
def test_sizes(n_bytes, text):
    assert size(n_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "less than a second"), (5, "5.0 s"), (80, "80 s"), (600, "10 min"), (7200, "2.0 h"), (864000, "10.0 days")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_range_that_reads_alike_is_said_once():
    assert between(0.1, 0.9) == "less than a second"
    assert between(5, 600) == "5.0 s to 10 min"
    assert between(120, 600) == "2.0 to 10 min"
    assert between(0.1, 7) == "less than a second to 7.0 s"


def test_places_name_no_user(monkeypatch, tmp_path):
    monkeypatch.delenv("SSL_ROBUST_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "anna"))
    assert shown(Path.home() / ".cache" / "ssl_robust") == str(Path("~/.cache/ssl_robust"))
    monkeypatch.setenv("SSL_ROBUST_CACHE", str(tmp_path / "scratch" / "anna"))
    assert shown(tmp_path / "scratch" / "anna") == "$SSL_ROBUST_CACHE"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert shown(tmp_path / "xdg" / "ssl_robust") == str(Path("$XDG_CACHE_HOME/ssl_robust"))
