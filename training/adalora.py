"""What AdaLoRA does beside learning: it prunes singular values as it goes, and keeps singular vectors orthogonal.

Zhang et al. 2023, "Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning". PEFT has both, and leaves it to the
training loop to call them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

WEIGHT = 0.1
"""Of the orthogonality beside the loss (the paper's γ; equation 4)."""
_STATE, _PATTERN = "adalora.safetensors", "adalora.json"


def adaptive(network: nn.Module) -> Any:
    """PEFT's AdaLoRA model within a network; None if there is none."""
    from peft import AdaLoraModel

    return next((module for module in network.modules() if isinstance(module, AdaLoraModel)), None)


def orthogonality(network: nn.Module) -> Tensor:
    """Mean over the matrices P and Q of ‖PPᵀ - I‖, PEFT's form of equation 4."""
    apart = []
    for name, value in network.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            square = value @ value.T if "lora_A" in name else value.T @ value
            apart.append(torch.linalg.matrix_norm(square - torch.eye(len(square), device=square.device)))
    return torch.stack(apart).mean()


class Pruning(TrainerCallback):
    """Prunes after each step. What it knows of the weights' importance goes with the checkpoints."""

    def __init__(self, network: nn.Module) -> None:
        self._model = adaptive(network)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        self._model.update_and_allocate(state.global_step + 1)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        from safetensors.torch import save_file

        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if not state.is_world_process_zero or not folder.is_dir():
            return
        allocator = self._model.rankallocator
        known = {"ipt": allocator.ipt, "mean": allocator.exp_avg_ipt, "unsure": allocator.exp_avg_unc}
        tensors = {f"{kind} {name}": value.contiguous() for kind, part in known.items() for name, value in part.items()}
        save_file(tensors, folder / _STATE)
        pattern = self._model.peft_config[self._model.trainable_adapter_name].rank_pattern
        (folder / _PATTERN).write_text(json.dumps(pattern), encoding="utf-8")

    def load(self, checkpoint: Path) -> None:
        """Know again what was known at a checkpoint."""
        from safetensors.torch import load_file

        if not (checkpoint / _STATE).is_file():
            return
        allocator = self._model.rankallocator
        allocator.reset_ipt()
        into = {"ipt": allocator.ipt, "mean": allocator.exp_avg_ipt, "unsure": allocator.exp_avg_unc}
        device = next(self._model.parameters()).device
        for name, value in load_file(checkpoint / _STATE).items():
            kind, _, weight = name.partition(" ")
            into[kind][weight] = value.to(device)
        pattern = json.loads((checkpoint / _PATTERN).read_text(encoding="utf-8"))
        self._model.peft_config[self._model.trainable_adapter_name].rank_pattern = pattern
