import numpy as np

from ssl_robust.audit.scores.bounded import from_positive, from_signed


def test_limits_and_order():
    values = np.array([0, 1e-6, 0.5, 3, 1e6, np.inf])
    positive = from_positive(values)
    np.testing.assert_allclose(positive[:4], values[:4] / (1 + values[:4]))
    assert positive[[0, -1]].tolist() == [0, 1]
    signed = from_signed(np.concatenate([-values[:0:-1], values]))
    assert signed[[0, 5, -1]].tolist() == [0, 0.5, 1]
    np.testing.assert_allclose(signed + signed[::-1], 1)
    for mapped in (positive, signed):
        assert (np.diff(mapped) > 0).all()
    assert np.isnan(from_positive([np.nan])).all()
    assert np.isnan(from_signed([np.nan])).all()
