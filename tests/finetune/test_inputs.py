import numpy as np
import torch
from torch import nn

from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.finetune.classifier import Classifier, model_maker
from ssl_robust.finetune.inputs import FeatureInputs


def encoder():
    torch.manual_seed(0)
    return create_encoder("resnet10t", in_chans=1, input_size=32, mean=[0.5], std=[0.2]).eval()


def test_head_on_standardised_features_becomes_a_classifier_of_scans():
    own = encoder()
    images = torch.rand(12, 1, 32, 32)
    with torch.no_grad():
        inputs = FeatureInputs(own(images), np.arange(8), torch.device("cpu"))
        head = Classifier(nn.Identity(), own.dim, 3)
        whole = inputs.whole(head, own)
        torch.testing.assert_close(whole(images), head(inputs.plain(np.arange(12))), rtol=1e-3, atol=1e-3)
    train = inputs.plain(np.arange(8))
    torch.testing.assert_close(train.mean(dim=0), torch.zeros(own.dim), atol=1e-4, rtol=0)
    assert torch.isfinite(inputs.vectors).all()


def test_two_networks_share_pretrained_weights_but_not_random_ones():
    own = encoder()
    images = torch.rand(2, 1, 32, 32)
    for fresh in (True, False):
        make = model_maker(own, frozen=False, fresh=fresh, n_classes=3, seed=0)
        first, second = make().eval(), make().eval()
        assert torch.equal(first.features(images), own(images))
        assert torch.equal(second.features(images), own(images)) != fresh
        assert not torch.equal(first.head.weight, second.head.weight)
        again = model_maker(own, frozen=False, fresh=fresh, n_classes=3, seed=0)
        again()
        assert torch.equal(again().eval()(images), second(images))
