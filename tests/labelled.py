"""Labelled files that tests write, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.errors import InputError
from training.data.reading import read_examples


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path, **how: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_examples(path, **how)
    return str(caught.value)


def choice(name: str, *values: str) -> dict[str, Any]:
    """An answer as Label Studio exports it."""
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(values)}}
