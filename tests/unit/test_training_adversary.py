"""Each pass of a step is moved along its own gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.adversary import Adversary


@pytest.mark.parametrize("lengths", [(6, 6), (6, 9)], ids=["same shape", "other shape"])
def test_both_passes_of_a_step_are_moved_along_their_own_gradients(lengths: tuple[int, int]) -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(4)
    config = BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, pad_token_id=0
    )
    encoder = BertModel(config, add_pooling_layer=False).eval()
    adversary = Adversary(encoder, 0.5)
    seen: list[Tensor] = []
    encoder.get_input_embeddings().register_forward_hook(lambda _module, _given, states: seen.append(states))
    texts = [torch.randint(1, 30, (3, length)) for length in lengths]
    to = torch.randn(2, 8)

    def step() -> list[Tensor]:
        seen.clear()
        sum((encoder(ids).last_hidden_state @ to[place]).sum() for place, ids in enumerate(texts)).backward()
        return list(seen)

    for _ in range(2):
        plain = step()
        with adversary.moved() as moves:
            assert moves
            moved = step()
        for before, after in zip(plain, moved, strict=True):
            assert before.grad is not None
            along = before.grad / before.grad.flatten(1).norm(dim=1)[:, None, None]
            assert torch.allclose(after - before, 0.5 * along, atol=1e-6)
    adversary.leave()
    step()
    with adversary.moved() as moves:
        assert not moves
