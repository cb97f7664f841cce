"""Small models the tests make for themselves: a BERT of two layers and bundles upon it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from monitor.understand.encoders import digests, sha256
from training.recipe import Recipe

WORDS = [
    "profit",
    "loss",
    "bank",
    "rises",
    "falls",
    "shares",
    "oil",
    "deal",
    "fraud",
    "record",
    "quarter",
    "bond",
    "market",
    "the",
    "a",
    "of",
    "in",
    "http",
]
TOPICS = ["dividend", "earnings", "macro"]


def make_encoder(folder: Path, *, seed: int = 0, hidden: int = 32) -> Path:
    """A BERT with random weights and a WordPiece tokenizer that knows letters and some words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    letters = [chr(code) for code in range(33, 127)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *("##" + letter for letter in letters), *WORDS]
    ids = {token: index for index, token in enumerate(dict.fromkeys(vocabulary))}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(ids),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=128,
        pad_token_id=0,
    )
    folder.mkdir(parents=True, exist_ok=True)
    BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def make_bundle(folder: Path, encoder: Path, *, hidden: int = 32, seed: int = 1, **changes: Any) -> Path:
    """A bundle on `encoder` with random heads and rank-2 adapters; `changes` are put over its manifest."""
    from safetensors.numpy import save_file

    random = np.random.default_rng(seed)
    matrix = "encoder.encoder.layer.0.attention.self.query"
    tensors = {
        "sentiment.weight": random.normal(size=(3, hidden)),
        "sentiment.bias": random.normal(size=3),
        "topics.weight": random.normal(size=(len(TOPICS), hidden)),
        "topics.bias": random.normal(size=len(TOPICS)),
        f"{matrix}.lora_a": random.normal(size=(2, hidden)),
        f"{matrix}.lora_b": random.normal(size=(hidden, 2)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.astype(np.float16) for name, value in tensors.items()}, folder / "weights.safetensors")
    (folder / "MODEL_CARD.md").write_text("# A tiny model\n", encoding="utf-8")
    manifest = {
        "format": 1,
        "name": "tiny",
        "version": "1.2.3",
        "kind": "encoder",
        "languages": ["en"],
        "sentiment": ["negative", "neutral", "positive"],
        "topics": TOPICS,
        "temperature": {"sentiment": 1.5, "topics": 0.8},
        "thresholds": dict.fromkeys(TOPICS, 0.5),
        "files": {name: sha256(folder / name) for name in ("weights.safetensors", "MODEL_CARD.md")},
        "encoder": {
            "name": str(encoder),
            "revision": None,
            "sha256": digests(encoder),
            "pooling": "mean",
            "max_tokens": 32,
            "rank": 2,
            "alpha": 4.0,
        },
        **changes,
    }
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def make_wide_bundle(
    folder: Path, encoder: Path, *, shares: tuple[float, float, float] = (0.5, 0.25, 2.0), **changes: Any
) -> Path:
    """As `make_bundle`, with random linear heads beside the encoder's; shares of sentiment, topics and toward."""
    from safetensors.numpy import load_file, save_file

    from monitor.understand.quantised import quantise

    buckets = 512
    make_bundle(folder, encoder)
    tensors = load_file(folder / "weights.safetensors")
    random = np.random.default_rng(9)
    tensors["wide.idf"] = random.uniform(0.5, 2.0, buckets).astype(np.float16)
    for part, rows in (("sentiment", 3), ("topics", len(TOPICS))):
        weight = random.normal(size=(rows, buckets)).astype(np.float32)
        tensors[f"wide.{part}.weight.codes"], tensors[f"wide.{part}.weight.scales"] = quantise(weight, 8)
        tensors[f"wide.{part}.bias"] = random.normal(size=rows).astype(np.float16)
    save_file(tensors, folder / "weights.safetensors")
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    manifest["files"]["weights.safetensors"] = sha256(folder / "weights.safetensors")
    sentiment, topics, toward = shares
    manifest["wide"] = {
        "ngrams": {"low": 1, "high": 3, "buckets": buckets},
        "sentiment": sentiment,
        "topics": topics,
        "toward": toward,
    }
    (folder / "bundle.json").write_text(json.dumps({**manifest, **changes}), encoding="utf-8")
    return folder


def make_prompted_bundle(folder: Path, encoder: Path, kind: str, *, tokens: int = 4) -> Path:
    """As `make_bundle`, with random tokens before every text: a `prompt` or a `prefix`."""
    from safetensors.numpy import load_file, save_file

    make_bundle(folder, encoder)
    tensors = load_file(folder / "weights.safetensors")
    hidden = tensors["sentiment.weight"].shape[1]
    width = {"prompt": hidden, "prefix": 2 * 2 * hidden}[kind]  # of a prefix: two layers, keys and values
    tensors[f"encoder.{kind}"] = np.random.default_rng(6).normal(size=(tokens, width)).astype(np.float16)
    save_file(tensors, folder / "weights.safetensors")
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    manifest["files"]["weights.safetensors"] = sha256(folder / "weights.safetensors")
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


FALLING = {"en": ("[this company] falls",), "zh": ("［本公司］下跌",)}
RISING = {"en": ("[this company] rises",), "zh": ("［本公司］上涨",)}


def make_toward_bundle(folder: Path, *, languages: tuple[str, ...] = ("en",), **changes: Any) -> Path:
    """A linear bundle that knows one thing: what the marked company does.

    A text is neutral unless it holds "[this company] falls" or "[this company] rises" (or the same in Chinese), and
    its topic is always macro. `changes` are put over its manifest.
    """
    from safetensors.numpy import save_file

    from monitor.understand.manifest import Ngrams
    from monitor.understand.runtimes.ngrams import Hasher, fold

    marked = [
        (phrase, row) for row, known in ((0, FALLING), (2, RISING)) for lang in languages for phrase in known[lang]
    ]
    sizes = [len(fold(phrase)) for phrase, _ in marked]
    ngrams = Ngrams(min(sizes), max(sizes), 1 << 16)
    sentiment = np.zeros((3, ngrams.buckets))
    for phrase, row in marked:
        longest = Hasher(Ngrams(len(fold(phrase)), len(fold(phrase)), ngrams.buckets))
        sentiment[row, longest.counts([phrase]).indices] = 1000.0
    tensors = {
        "idf": np.ones(ngrams.buckets),
        "sentiment.weight": sentiment,
        "sentiment.bias": np.array([0.0, 3.0, 0.0]),
        "topics.weight": np.zeros((len(TOPICS), ngrams.buckets)),
        "topics.bias": np.array([-5.0, -5.0, 5.0]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.astype(np.float16) for name, value in tensors.items()}, folder / "weights.safetensors")
    manifest = {
        "format": 1,
        "name": "pointer",
        "version": "1",
        "kind": "ngrams",
        "languages": languages,
        "sentiment": ["negative", "neutral", "positive"],
        "topics": TOPICS,
        "temperature": {"sentiment": 1.0, "topics": 1.0},
        "thresholds": dict.fromkeys(TOPICS, 0.5),
        "files": {"weights.safetensors": sha256(folder / "weights.safetensors")},
        "ngrams": {"low": ngrams.low, "high": ngrams.high, "buckets": ngrams.buckets},
        "toward": True,
        **changes,
    }
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def small_recipe(**sections: Any) -> Recipe:
    """A recipe of an encoder's run on `train.jsonl`, with these sections."""
    return Recipe.model_validate(
        {
            "name": "small",
            "version": "0.0.1",
            "kind": "encoder",
            "languages": ["en"],
            "train": [{"file": "train.jsonl", "origin": "", "licence": ""}],
            **sections,
        }
    )
