"""A bundle: one model as a folder (`bundle.json`, weights, MODEL_CARD.md), checked before anything is believed.

`load_bundle` imports what the kind of network needs; checking needs no model library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.understand.manifest import MANIFEST, WEIGHTS, Manifest, check_files, damaged, read_manifest
from monitor.understand.probabilities import calibrated
from monitor.understand.runtimes import Choice, Logits, Runtime

_BUNDLES = Path(__file__).with_name("bundles")
SHIPPED: tuple[Path, ...] = (_BUNDLES / "en", _BUNDLES / "zh")
FAST: tuple[Path, ...] = (_BUNDLES / "en-fast",)
"""Small students of some that ship, for `engine.model = "fast"`."""


@dataclass(frozen=True)
class Bundle:
    """A loaded model."""

    manifest: Manifest
    folder: Path
    runtime: Runtime

    def probabilities(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Calibrated probabilities of (texts, 3) sentiment classes and (texts, topics) topics."""
        return self.calibrated(self.runtime.logits(texts))

    def calibrated(self, logits: Logits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same of logits that its runtime gave."""
        return calibrated(logits, self.manifest.temperature)


def load_bundle(
    folder: Path,
    *,
    device: str = "auto",
    runtime: Choice = "torch",
    threads: int = 0,
    tokens: int = 0,
    cache: Path | None = None,
) -> Bundle:
    """Load a model folder. Its files and its encoder are checked first.

    Args:
        device: auto, cpu, cuda or cuda:N; auto takes every GPU there is.
        runtime: what computes an encoder on a CPU: torch in float32, or auto and openvino, several times as fast, with
            answers that differ a little (`runtimes/agreement.py` says how much they may).
        threads: forward passes computed at a time on a CPU; 0: as many as there are cores. Each has one thread, and so
            has torch, where it is used, in this process from then on.
        tokens: of one forward pass on a GPU at most; 0: chosen.
        cache: folder of converted graphs; None: they are made at each start.

    Raises:
        BundleError: the folder, a file in it or its encoder is missing, damaged or does not fit.
        SettingsError: the device is not there.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    loaded: Runtime
    try:
        if manifest.kind == "encoder":
            from monitor.understand.runtimes.loading import load_encoder_runtime

            loaded = load_encoder_runtime(
                folder, manifest, device=device, runtime=runtime, threads=threads, tokens=tokens, cache=cache
            )
            if manifest.wide is not None:
                from monitor.understand.runtimes.wide import WideRuntime, read_heads

                loaded = WideRuntime(loaded, read_heads(folder, manifest), manifest.wide, aimed=manifest.toward)
        else:
            from monitor.understand.runtimes.ngrams import NgramRuntime

            loaded = NgramRuntime.load(folder, manifest)
    except (KeyError, ValueError, RuntimeError, OSError) as error:
        # A file that hashes right but holds the wrong thing: made wrong, not damaged on the way.
        reason = " ".join(str(error).split())[:200]
        raise damaged(folder / WEIGHTS, f"does not fit {MANIFEST} ({type(error).__name__}: {reason})") from error
    return Bundle(manifest, folder, loaded)
