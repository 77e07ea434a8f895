import copy

import pytest

from ssl_robust.settings import defaults


@pytest.fixture
def few_draws(monkeypatch):
    """Tables without a wait for narrow intervals."""

    def changed(group, name):
        values = copy.deepcopy(defaults(group, name))
        if name == "audit":
            values["estimate"]["n_resamples"] = 2
        return values

    monkeypatch.setattr("ssl_robust.audit.table.defaults", changed)
