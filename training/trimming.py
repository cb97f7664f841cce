"""A large vocabulary cut down to the pieces some languages use: most of a multilingual encoder is rows nobody reads."""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from monitor.errors import InputError
from monitor.understand.encoders import load_tokenizer
from monitor.understand.normalise import normalise
from training import e5

_HAN = re.compile(r"^▁?[\u3400-\u4dbf\u4e00-\u9fff]$")
_ALWAYS = set(string.printable) | set("，。！？；：、“”‘’（）《》【】％—…·￥€£°①②③④⑤［］")
_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
_WORDS = "embeddings.word_embeddings.weight"


def trim(folder: Path, texts: Iterable[str], out: Path, *, least: int = 1) -> int:
    """Write the encoder of `folder` (a unigram tokenizer) with only the pieces that the texts need; how many.

    Kept are the pieces of the texts, every single Chinese character and every printable ASCII character, so that a
    text never seen falls back to characters and not to the unknown piece.

    Args:
        least: in how many texts a piece must stand.

    Raises:
        InputError: the tokenizer is of another kind, or pieces and weights are not laid out as XLM-R's.
    """
    from safetensors.numpy import load_file, save_file

    if not (folder / "tokenizer.json").is_file():
        raise InputError(f"encoder.trim: {folder} has no tokenizer.json; leave it out")
    tree = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    if tree["model"].get("type") != "Unigram":
        raise InputError("encoder.trim: only unigram (SentencePiece) vocabularies can be trimmed; leave it out")
    pieces = e5.pieces_of(folder)
    begin = [piece for piece, _ in pieces[: len(_SPECIAL)]]
    if begin != _SPECIAL:
        raise InputError(
            f"encoder.trim: the vocabulary begins with {' '.join(begin)}, not with {' '.join(_SPECIAL)}; leave it out"
        )
    tensors = load_file(folder / "model.safetensors")
    if _WORDS not in tensors:
        raise InputError(f"encoder.trim: the weights have no {_WORDS}; leave it out")
    seen: Counter[int] = Counter()
    tokenizer = load_tokenizer(folder)
    rows = list(dict.fromkeys(normalise(text) for text in texts))
    for start in range(0, len(rows), 10_000):
        for encoding in tokenizer.encode_batch_fast(rows[start : start + 10_000]):
            seen.update(set(encoding.ids))
    used = {*range(len(_SPECIAL)), *(index for index, texts in seen.items() if texts >= least)}
    for index, (piece, _) in enumerate(pieces):
        if _HAN.match(piece) or (piece.removeprefix("▁") or "▁") in _ALWAYS or piece == "▁":
            used.add(index)
    kept = sorted(used)
    tensors[_WORDS] = np.ascontiguousarray(tensors[_WORDS][kept])
    out.mkdir(parents=True, exist_ok=True)
    e5.write_tokenizer([pieces[index] for index in kept], out)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | {"vocab_size": len(kept)}
    (out / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    save_file(tensors, out / "model.safetensors")
    return len(kept)
