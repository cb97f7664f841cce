"""The loss of the heads: what its refinements do to it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monitor.understand.network import Network
from training.objective import Objective
from training.recipe import Loss

LABELS = torch.tensor([0, 1, 2, 2])


@pytest.fixture(scope="module")
def network() -> Network:
    from transformers import BertConfig, BertModel

    torch.manual_seed(4)
    config = BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, pad_token_id=0
    )
    return Network(BertModel(config, add_pooling_layer=False), pooling="mean", topics=1).eval()


def loss_of(network: Network, loss: Loss, weights: Tensor | None = None) -> Tensor:
    ids = torch.arange(24).reshape(4, 6)
    nobody = torch.full((4,), -100)
    return Objective(network, loss, class_weights=weights)(
        ids, torch.ones_like(ids), LABELS, nobody, nobody[:, None].float()
    )["loss"]


def test_focal_loss_smooths_labels_too(network: Network) -> None:
    focal, smoothed = (loss_of(network, Loss(kind="focal", smoothing=share)) for share in (0.0, 0.2))
    assert (focal - smoothed).abs().item() > 0.01
    # With gamma 0 focal loss is cross-entropy.
    flat, entropy = (loss_of(network, Loss(kind=kind, gamma=0.0, smoothing=0.2)) for kind in ("focal", "cross_entropy"))
    assert torch.allclose(flat, entropy)


def test_focal_loss_is_that_of_its_paper(network: Network) -> None:
    ids = torch.arange(24).reshape(4, 6)
    right = torch.softmax(network(ids, torch.ones_like(ids))[0], 1)[torch.arange(4), LABELS]
    weights = torch.tensor([1.0, 2.0, 0.5])
    expected = (weights[LABELS] * (1 - right) ** 2 * -right.log()).mean()
    assert torch.allclose(loss_of(network, Loss(kind="focal", gamma=2.0), weights), expected)


def test_focal_loss_has_a_slope_where_a_wrong_class_is_sure(network: Network) -> None:
    with torch.no_grad():
        before = network.sentiment.bias.clone()
        network.sentiment.bias.copy_(torch.tensor([200.0, 0.0, 0.0]))
    network.zero_grad()
    loss_of(network, Loss(kind="focal", gamma=0.5)).backward()
    slope = network.sentiment.bias.grad
    assert slope is not None and torch.isfinite(slope).all() and slope[0] > 0
    with torch.no_grad():
        network.sentiment.bias.copy_(before)
