"""A small encoder learns to read as a large one does: at each of its layers, the large one's states of every token.

Source: Jiao et al. 2020, "TinyBERT", the loss of the hidden states: a learned map takes the small state to the large
one's space, and what is made small is the squared distance, here as a share of the large states' variance. No label is
needed. The map of the top layer also takes the large one's heads along, so what is taught afterwards begins near it.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from monitor.errors import InputError
from monitor.understand.encoders import load_encoder, load_tokenizer
from monitor.understand.normalise import normalise
from training import processes
from training.narrowing import narrow
from training.placing import placed
from training.recipe import Recipe
from training.selfteaching import teach

log = logging.getLogger(__name__)
MAP = "map.safetensors"
"""The map of the top layer, beside the encoder it belongs to: `weight` (large, small) and `bias` (large,)."""


def imitate(recipe: Recipe, large: Path, texts: Sequence[str], workplace: Path) -> Path:
    """The folder of a small encoder, as `recipe.student` describes it, that reads as the one in `large` does.

    Args:
        workplace: the encoder (`student/`) and checkpoints (`imitation/`) go there. A run that was cut off goes on from
            its last checkpoint, one that was finished is not done again.

    Raises:
        InputError: there is no text, or the large encoder cannot be made smaller like this.
    """
    from transformers.trainer_utils import set_seed

    plan, out = recipe.student, workplace / "student"
    if (out / MAP).is_file():
        return out
    if not texts:
        raise InputError(f"recipe {recipe.name}: student: there is no text to learn from; name files in unlabelled")
    torch.set_num_threads(recipe.schedule.threads or processes.threads())
    set_seed(recipe.schedule.seed)
    start = workplace / "narrow"
    with processes.in_turn():
        if not (start / "kept.json").is_file():
            with placed(start) as part:
                kept = narrow(large, plan, texts, part)
                save_file({"weight": kept.axes.contiguous()}, part / MAP)
                (part / "kept.json").write_text(json.dumps({"layers": kept.layers, "share": kept.share}))
            log.info("%s: %d axes hold %.1f %% of the states", recipe.name, plan.width, 100 * kept.share)
    told = json.loads((start / "kept.json").read_text(encoding="utf-8"))
    model = Imitation(load_encoder(start), load_encoder(large), told["layers"], load_file(start / MAP)["weight"])
    rows = Plain(texts, large, plan.max_tokens)
    pad = int(model.small.config.pad_token_id or 0)  # type: ignore[union-attr, arg-type]
    checkpoints = teach(recipe, plan, model, rows, _Padded(pad), workplace, "imitation", lr_scheduler_type="cosine")
    with processes.in_turn():
        if not (out / MAP).is_file():
            with placed(out) as part:
                part.mkdir(parents=True)
                for name in ("config.json", "tokenizer.json"):
                    shutil.copyfile(start / name, part / name)
                state = {name: value.detach().float().cpu() for name, value in model.small.state_dict().items()}
                save_file({name: value.contiguous() for name, value in state.items()}, part / "model.safetensors")
                top = {name: value.detach().cpu().contiguous() for name, value in model.maps[-1].state_dict().items()}
                save_file(top, part / MAP)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return out


def taken_along(heads: Mapping[str, Tensor], student: Path) -> dict[str, Tensor]:
    """The heads of the large encoder for the small one, which give the same logits where it imitates perfectly.

    Args:
        heads: `NAME.weight` (classes, large) and `NAME.bias` (classes,).
        student: the folder that `imitate` gave.
    """
    top = load_file(student / MAP)
    found: dict[str, Tensor] = {}
    for name in ("sentiment", "topics"):
        weight, bias = heads[f"{name}.weight"].float(), heads[f"{name}.bias"].float()
        found[f"{name}.weight"] = weight @ top["weight"]
        found[f"{name}.bias"] = bias + weight @ top["bias"]
    return found


class Plain(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokenised texts, each once."""

    def __init__(self, texts: Sequence[str], folder: Path, cut: int) -> None:
        tokenizer = load_tokenizer(folder)
        tokenizer.enable_truncation(cut)
        once = list(dict.fromkeys(normalise(text) for text in texts))
        self._rows = [
            np.array(found.ids)
            for begin in range(0, len(once), 10_000)
            for found in tokenizer.encode_batch_fast(once[begin : begin + 10_000])
        ]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text, cut."""
        return [len(ids) for ids in self._rows]

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self._rows[index]}


class Imitation(nn.Module):
    """A small encoder beside the large one, which does not learn.

    Args:
        layers: of the large one, those whose states the small one's layers are to have.
        axes: (large, small), where the maps begin.
    """

    def __init__(self, small: nn.Module, large: nn.Module, layers: Sequence[int], axes: Tensor) -> None:
        super().__init__()
        self.small = small
        # In a list, so that it is neither saved with every checkpoint nor given to the optimiser.
        self._large = [large.eval().requires_grad_(False)]
        self._layers = tuple(layers)
        self.maps = nn.ModuleList(nn.Linear(axes.shape[1], axes.shape[0]) for _ in layers)
        for each in self.maps:
            with torch.no_grad():
                each.weight.copy_(axes)  # type: ignore[operator]
                each.bias.zero_()  # type: ignore[operator]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """The mean over the layers of the squared distance, as a share of the large states' variance."""
        self._large[0].to(input_ids.device)
        told: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask, "output_hidden_states": True}
        with torch.no_grad():
            wanted = self._large[0](**told).hidden_states
        found = self.small(**told).hidden_states
        real = attention_mask.bool()
        losses = []
        for place, (number, each) in enumerate(zip(self._layers, self.maps, strict=True)):
            target = wanted[number + 1][real].float()
            said = each(found[place + 1][real]).float()
            spread = (target - target.mean(0)).square().mean().clamp(min=1e-6)
            losses.append((said - target).square().mean() / spread)
        return {"loss": torch.stack(losses).mean()}


class _Padded:
    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        found = [torch.from_numpy(row["input_ids"]) for row in rows]
        ids = nn.utils.rnn.pad_sequence(found, batch_first=True, padding_value=self._pad)
        sizes = torch.tensor([len(row) for row in found])
        return {"input_ids": ids, "attention_mask": (torch.arange(ids.shape[1]) < sizes[:, None]).long()}
