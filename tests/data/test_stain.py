"""Stain jitter against Beer-Lambert's law, written out."""

import pytest
import torch

from ssl_robust.data.stain import EOSIN, HEMATOXYLIN, restain, stain_changes

HE = [torch.tensor(stain) / torch.tensor(stain).norm() for stain in (HEMATOXYLIN, EOSIN)]
REST = torch.linalg.cross(*HE) / torch.linalg.cross(*HE).norm()


def slide(hematoxylin=0.0, eosin=0.0, rest=0.0):
    """(1, 3, 8, 8): a slide whose amounts of stain grow from none to the given ones."""
    density = hematoxylin * HE[0] + eosin * HE[1] + rest * REST
    amounts = torch.linspace(0, 1, 64).view(1, 1, 8, 8)
    return 10 ** -(amounts * density.view(1, 3, 1, 1))


def changed(view, factors=(1.0, 1.0), offsets=(0.0, 0.0)):
    return restain(view, *stain_changes(torch.tensor([factors]), torch.tensor([offsets])))


def test_no_change_is_the_identity():
    view = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    view[..., 0] = 0.0  # margins and pen are as dark as can be
    torch.testing.assert_close(changed(view), view, atol=1.01e-3, rtol=0)


@pytest.mark.parametrize(("factor", "amount"), [(0.8, 1.5), (1.25, 0.9)])
def test_a_pure_stain_stays_on_its_line(factor, amount):
    # The other stain's factor says nothing, since there is none of it.
    torch.testing.assert_close(changed(slide(hematoxylin=amount), (factor, 0.3)), slide(hematoxylin=factor * amount))
    torch.testing.assert_close(changed(slide(eosin=amount), (3.0, factor)), slide(eosin=factor * amount))


def test_each_stain_has_its_own_factor():
    both = slide(hematoxylin=0.6, eosin=0.5)
    torch.testing.assert_close(changed(both, (1.2, 0.7)), slide(hematoxylin=0.72, eosin=0.35))


def test_what_is_no_stain_stays():
    # Neither factor reaches the direction at right angles to both; it lets more red through than glass does.
    view = slide(hematoxylin=0.5, eosin=0.9, rest=0.1)
    torch.testing.assert_close(changed(view, (1.1, 1.1)), slide(hematoxylin=0.55, eosin=0.99, rest=0.1))


def test_an_offset_stains_bare_glass_and_never_lightens_it():
    glass = torch.ones(1, 3, 4, 4)
    torch.testing.assert_close(changed(glass, offsets=(0.0, 0.1)), (10 ** -(0.1 * HE[1])).view(1, 3, 1, 1) * glass)
    assert torch.equal(changed(glass, offsets=(-0.1, -0.1)), glass)


def test_each_view_has_its_own_stain():
    views = slide(hematoxylin=0.5, eosin=0.5).expand(2, -1, -1, -1)
    made = restain(views, *stain_changes(torch.tensor([[1.0, 1.0], [1.2, 1.0]]), torch.zeros(2, 2)))
    torch.testing.assert_close(made[:1], views[:1])
    torch.testing.assert_close(made[1:], slide(hematoxylin=0.6, eosin=0.5))
