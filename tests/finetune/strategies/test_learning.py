import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plain(problem):
    return problem().fit("cross_entropy")[0]


@pytest.mark.parametrize("name", ["coteaching", "coteaching_vog", "dividemix", "cufit"])
def test_it_withstands_wrong_labels_better_than_cross_entropy(problem, plain, name):
    """40 % symmetric noise, three Gaussian classes that overlap, enough dimensions to learn the noise."""
    assert problem().fit(name)[0] > plain + 0.02
