"""An encoder with only its lowest layers: as much faster as it has fewer of them.

For telling classes apart the upper layers matter least: without a third of them BERT lost about two points (Sajjad et
al. 2023, "On the effect of dropping layers of pre-trained transformer models").
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from monitor.errors import InputError

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h)\.(\d+)\.")
_COUNTS = ("num_hidden_layers", "n_layers", "num_layers", "n_layer")
"""What configurations of different families call the number of layers."""


def shallow(folder: Path, layers: int, out: Path) -> None:
    """Write the encoder of `folder` with its lowest `layers` layers into `out`.

    Raises:
        InputError: it has fewer, or keeps them under names that are not known here.
    """
    from safetensors.numpy import load_file, save_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / "model.safetensors")
    depth = {name: int(found[1]) for name in tensors if (found := _LAYER.search(name))}
    count = max(depth.values(), default=-1) + 1
    named = [key for key in _COUNTS if config.get(key) == count]
    if not count or not named:
        raise InputError(
            f"encoder.layers: the layers of {config.get('model_type', folder)} are not known; leave it out"
        )
    if layers > count:
        raise InputError(f"encoder.layers: {layers} of {count} layers cannot be kept; name fewer")
    out.mkdir(parents=True, exist_ok=True)
    # What a configuration says of each layer in a list of its own is cut with them.
    lists = {key: value[:layers] for key, value in config.items() if isinstance(value, list) and len(value) == count}
    less = config | lists | dict.fromkeys(named, layers)
    (out / "config.json").write_text(json.dumps(less, indent=1), encoding="utf-8")
    shutil.copyfile(folder / "tokenizer.json", out / "tokenizer.json")
    kept = {name: value for name, value in tensors.items() if depth.get(name, 0) < layers}
    save_file(kept, out / "model.safetensors", metadata={"format": "pt"})
