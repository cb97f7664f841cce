"""The rules of the house: who may import whom, what must stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "sklearn", "onnxruntime")


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


# folder of monitor/ → the packages of the project it must not know
FORBIDDEN = {
    "": ("training", "dashboard"),
    "sources": ("monitor.store", "monitor.understand", "monitor.detect", "monitor.alerts"),
    "understand": ("monitor.sources", "monitor.store", "monitor.detect", "monitor.alerts"),
    "store": ("monitor.sources", "monitor.understand", "monitor.alerts"),
    "detect": ("monitor.sources", "monitor.store", "monitor.understand", "monitor.alerts", "sqlalchemy"),
    "alerts": ("monitor.sources", "monitor.understand.engine", "monitor.understand.network"),
    "labelling": ("monitor.sources", "monitor.understand.engine", "monitor.understand.network"),
}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_data_flows_one_way(folder: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in (ROOT / "monitor" / folder).rglob("*.py")
        for name in imports(file)
        if name.startswith(FORBIDDEN[folder])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module", ["monitor.cli", "monitor.scheduler", "monitor.commands.schedule", "dashboard.command", "dashboard.server"]
)
def test_scheduler_and_dashboard_never_import_a_model_library(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_help_answers_at_once() -> None:
    def seconds(*arguments: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True, cwd=ROOT)
        return time.perf_counter() - started

    # Measured against Python itself, so that a busy machine does not matter: the help may cost less than half a second.
    bare = min(seconds("-c", "pass") for _ in range(3))
    assert min(seconds("-m", "monitor.cli", "--help") for _ in range(3)) - bare < 0.5


def test_no_file_is_a_grab_bag() -> None:
    names = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert [file for file in ROOT.glob("[mtd]*/**/*.py") if file.stem in names] == []
