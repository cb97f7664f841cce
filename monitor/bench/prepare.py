"""A bundle's encoder laid out as a user of another library would have it: files that all of them read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.errors import InputError
from monitor.understand.manifest import read_manifest
from monitor.understand.normalise import normalise


@dataclass(frozen=True)
class Prepared:
    """What is compared.

    Attributes:
        folder: the encoder's files, the heads, the texts.
        tokens: of each set, the tokens of all texts, each as one window of at most 512.
        work: of each set, the operations its texts take: two for each multiplication and addition.
        own: the same of the texts as the engine reads them.
    """

    folder: Path
    tokens: dict[str, int]
    work: dict[str, float]
    own: dict[str, float]


def prepare(bundle: Path, folder: Path, texts: dict[str, list[str]], told: dict[str, Any]) -> Prepared:
    """Write what contenders read into `folder`.

    Raises:
        InputError: the bundle is linear.
        BundleError: it cannot be used.
    """
    from safetensors.torch import save_file

    from monitor.understand.encoders import load_tokenizer
    from monitor.understand.runtimes.pytorch import read_network

    manifest = read_manifest(bundle)
    if manifest.encoder is None:
        raise InputError(f"{bundle}: is linear; name a bundle with an encoder")
    network, tokenizer = read_network(bundle, manifest)
    encoder: Any = network.encoder
    config = encoder.config
    folder.mkdir(parents=True, exist_ok=True)
    encoder.save_pretrained(folder)
    # CTranslate2's converter asks for what newer versions of transformers no longer write down.
    plain = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({"position_embedding_type": "absolute"} | plain), encoding="utf-8")
    tokenizer.save(str(folder / "tokenizer.json"))
    # Else transformers takes it for the tokenizer of the network's kind, which adds tokens of its own.
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": _unknown(tokenizer)}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind), encoding="utf-8")
    heads = {f"sentiment.{part}": getattr(network.sentiment, part).detach().clone() for part in ("weight", "bias")}
    save_file(heads, folder / "heads.safetensors")
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    most = min(512, int(config.max_position_embeddings))
    noted = told | {
        "pooling": network.pooling,
        "temperature": manifest.temperature.sentiment,
        "max_tokens": most,
        "pad": int(config.pad_token_id or 0),
        "config": {"num_attention_heads": config.num_attention_heads, "hidden_size": config.hidden_size},
    }
    (folder / "told.json").write_text(json.dumps(noted), encoding="utf-8")
    tokenizer = load_tokenizer(folder)
    tokenizer.enable_truncation(most)

    def lengths(part: list[str]) -> list[int]:
        return [len(found.ids) for found in tokenizer.encode_batch_fast(part)]

    def work(part: list[str]) -> float:
        return sum(operations(config, length) for length in lengths(part))

    return Prepared(
        folder,
        {name: sum(lengths(part)) for name, part in texts.items()},
        {name: work(part) for name, part in texts.items()},
        {name: work([normalise(text) for text in part]) for name, part in texts.items()},
    )


def operations(config: Any, length: int) -> float:
    """Operations of one text of so many tokens: the products of every layer, and those of attention."""
    hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    return float(layers * (2 * length * (4 * hidden * hidden + 2 * hidden * inner) + 4 * length * length * hidden))


def _unknown(tokenizer: Any) -> str | None:
    """The piece that stands for what the vocabulary lacks."""
    named = getattr(tokenizer.model, "unk_token", None)
    place = getattr(tokenizer.model, "unk_id", None)
    found: str | None = named if named is not None or place is None else tokenizer.id_to_token(place)
    return found
