import pytest

from ssl_robust.settings import stage_defaults


@pytest.fixture
def few_draws(monkeypatch):
    """Tables without a wait for narrow intervals."""

    def changed(stage):
        values = stage_defaults(stage)
        values["estimate"]["n_resamples"] = 2
        return values

    monkeypatch.setattr("ssl_robust.audit.table.stage_defaults", changed)
