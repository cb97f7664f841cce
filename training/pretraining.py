"""Masked-language pre-training on the domain's own texts, before anything is taught (Gururangan et al. 2020).

Whole words are hidden (Devlin et al. 2019), where the tokenizer tells which pieces make a word. The head that guesses
them is the word embeddings themselves behind a small transform, as in BERT: an encoder that comes without a head gets
a new one, and only the encoder is kept.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.errors import InputError
from monitor.understand.encoders import load_encoder, load_tokenizer
from training import processes
from training.masking import IGNORED, Masked, Padded, mask_of
from training.recipe import Recipe
from training.selfteaching import teach
from training.tuning import check

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)


def pretrain(recipe: Recipe, folder: Path, texts: Sequence[str], workplace: Path) -> Path:
    """Go on with the pre-training of the encoder of `folder` on texts; the folder of the encoder it becomes.

    Args:
        workplace: the encoder (`pretrained/`) and checkpoints (`pretraining/`) go there. A run that was cut off goes on
            from its last checkpoint, one that was finished is not done again.

    Raises:
        InputError: the tokenizer has no mask, there is no text, or the encoder does not fit the recipe.
    """
    from transformers.trainer_utils import set_seed

    plan, schedule, out = recipe.pretrain, recipe.schedule, workplace / "pretrained"
    done = out / "complete"
    if done.is_file():
        return out
    if not texts:
        raise InputError(f"recipe {recipe.name}: pretrain: there is no text to learn from; name files in unlabelled")
    torch.set_num_threads(schedule.threads or processes.threads())
    set_seed(schedule.seed)
    tokenizer = load_tokenizer(folder)
    encoder = load_encoder(folder)
    check(recipe, encoder)
    rows = Masked(texts, tokenizer, plan.max_tokens, mask_of(tokenizer, folder), plan.mask, schedule.seed)
    model = Guesser(encoder)
    checkpoints = teach(
        recipe, plan, model, rows, Padded(model.pad), workplace, "pretraining", save_every=plan.save_every
    )
    with processes.in_turn():
        if not done.is_file():
            _write(encoder, tokenizer, folder, out)
            done.touch()
    shutil.rmtree(checkpoints, ignore_errors=True)
    return out


class Guesser(nn.Module):
    """An encoder that guesses hidden pieces: dense, GELU, norm, then the word embeddings turned round, and a bias."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        words = encoder.get_input_embeddings().weight  # type: ignore[operator]
        hidden = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.pad = int(encoder.config.pad_token_id or 0)  # type: ignore[union-attr, arg-type]
        self.encoder = encoder
        self.dense = nn.Linear(hidden, words.shape[1])
        self.norm = nn.LayerNorm(words.shape[1])
        self.bias = nn.Parameter(torch.zeros(len(words)))
        # Small at first: a new head that shouts would spoil the encoder before it has learned anything.
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        nn.init.constant_(self.norm.weight, float(1 / words.detach().norm(dim=1).mean().clamp(min=0.1)))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Mean cross-entropy of the hidden pieces; labels are IGNORED elsewhere."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        hidden = labels != IGNORED
        guesses = self.norm(functional.gelu(self.dense(states[hidden])))
        logits = guesses @ self.encoder.get_input_embeddings().weight.T + self.bias  # type: ignore[operator]
        if not len(logits):
            return {"loss": states.sum() * 0}
        return {"loss": functional.cross_entropy(logits.float(), labels[hidden])}


def _write(encoder: nn.Module, tokenizer: Tokenizer, folder: Path, out: Path) -> None:
    """The encoder as a folder like the one it came from."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "config.json", out / "config.json")
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    state = {name: value.detach().float().cpu().contiguous() for name, value in encoder.state_dict().items()}
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
