"""The HTML report: one page that needs nothing beside itself; every text in it is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from monitor.understand.topics import Taxonomy
from training.evaluation.charts import Bar, bars, confusion, reliability
from training.evaluation.layout import TASKS, numbers, panels, table
from training.evaluation.probes import (
    against_section,
    bias_section,
    pairs_section,
    paraphrases_section,
    robustness_section,
    speed_section,
)
from training.evaluation.summary import chance_told, nested_note

_FEW = 10
"""Slices with fewer answers are left out of the pictures."""
_STYLE = Path(__file__).with_name("report.css")


def page(examination: Mapping[str, Any], taxonomy: Taxonomy, *, at: datetime | None = None) -> str:
    """The report on an examination as one HTML document."""
    found = examination
    sections: list[tuple[str, str, str]] = []
    if found["against"] is not None:
        sections.append(("against", f"Against {found['against']['champion']}", against_section(found["against"])))
    for number, (name, report) in enumerate(found["files"].items()):
        sections.append((f"file{number}", Path(name).name, _file(report, taxonomy)))
    if found["pairs"] is not None:
        sections.append(("pairs", "Minimal pairs", pairs_section(found["pairs"])))
    if found["paraphrases"] is not None:
        sections.append(("paraphrases", "Paraphrases", paraphrases_section(found["paraphrases"])))
    if found["toward_exam"] is not None:
        sections.append(("toward", "Toward a company", _sentiment(found["toward_exam"], "pairs")))
    if found["robustness"]:
        sections.append(("robustness", "Robustness", robustness_section(found["robustness"])))
    if found["bias"]:
        sections.append(("bias", "Bias", bias_section(found["bias"])))
    if found["speed"] is not None:
        sections.append(("speed", "Speed", speed_section(found["speed"])))
    links = "".join(f'<a href="#{key}">{escape(title)}</a>' for key, title, _ in sections)
    body = "".join(f'<section><h2 id="{key}">{escape(title)}</h2>{text}</section>' for key, title, text in sections)
    made = (at or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    title = escape(found["model"])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: evaluation</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f'<h1>{title}</h1><p class="soft">Measured by <code>bellwether evaluate</code>, {made}. Whiskers and ranges '
        f"are 95 % intervals.</p><nav>{links}</nav>{_overview(found['files'])}{body}</body></html>\n"
    )


def _overview(files: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, report in files.items():
        for task, title in TASKS.items():
            part = report.get(task)
            if part is None or part.get("accuracy") is None:
                continue
            f1 = part.get("macro_f1_of_likeliest", part.get("macro_f1"))
            other = f"micro-F1 {part['micro_f1']:.4f}" if "micro_f1" in part else ""
            if "f1" in part:
                other = f"F1 {part['f1']:.4f}" + (nested_note(part) if task == "toward_bad" else "")
            if part.get("bad_against_good") is not None:
                other = f"bad against good {part['bad_against_good']:.4f}"
            which = "ece_of_likeliest" if task == "topics" else "ece"
            count = part["pairs"] if "pairs" in part else part["texts"]
            rows.append(
                [Path(name).name, title, count, part["accuracy"], f1, other, part.get(which), chance_told(part, which)]
            )
    head = ["file", "task", "answers", "accuracy", "macro-F1", "", "calibration error", "by chance"]
    return table(head, rows)


def _file(report: Mapping[str, Any], taxonomy: Taxonomy) -> str:
    parts = [f'<p class="soft">{report["texts"]:,} texts.</p>']
    for task, title in TASKS.items():
        part = report.get(task)
        if part is None:
            continue
        parts.append(f"<h3>{title}</h3>")
        if task in ("sentiment", "toward"):
            parts.append(_sentiment(part, "pairs" if task == "toward" else "texts"))
        elif task == "topics":
            parts.append(_topics(part, taxonomy))
        else:
            told = [("accuracy", part["accuracy"]), ("precision", part["precision"]), ("recall", part["recall"])]
            parts.append(numbers([*told, ("F1", part["f1"])]) + _disagreeing(part))
            note = nested_note(part).removeprefix("; ") if task == "toward_bad" else ""
            parts.append(f'<p class="soft">{note}.</p>' if note else "")
    parts.append(_slices(report["slices"], {task: _accuracy(report[task]) for task in TASKS if task in report}))
    if report["mistakes"]:
        rows = [[r["text"], r["is"], r["said"], r["probability"]] for r in report["mistakes"]]
        parts.append(
            "<details><summary>The texts on which it was surest of a wrong answer</summary>"
            + table(["text", "is", "was called", "probability"], rows, digits=2)
            + "</details>"
        )
    return "".join(parts)


def _accuracy(part: Mapping[str, Any]) -> float | None:
    found: float | None = part["accuracy"]
    return found


def _sentiment(part: Mapping[str, Any], counted: str) -> str:
    told = [
        ("accuracy", part["accuracy"]),
        ("macro-F1", part["macro_f1"]),
        ("calibration error", part["ece"]),
        ("by chance", chance_told(part)),
    ]
    told += [("adaptive calibration error", part["adaptive_ece"]), ("Brier score", part["brier"])]
    if part["bad_against_good"] is not None:
        told.append(("bad against good (ROC area)", part["bad_against_good"]))
    classes = [
        Bar(name, row["f1"], note=f"P {row['precision']:.2f} R {row['recall']:.2f} n {row['texts']}")
        for name, row in part["classes"].items()
    ]
    return (
        numbers(told, count=(counted, part[counted]))
        + _disagreeing(part)
        + panels(
            (
                "Confusion (row: what it is, column: what was said)",
                f"{confusion(part['confusion'])}<h4>F1 of each class</h4>{bars(classes, title='F1 of each class')}",
            ),
            ("Reliability", reliability(part["reliability"], title="share of right answers over confidence")),
        )
    )


def _disagreeing(part: Mapping[str, Any]) -> str:
    few = part.get("disagreeing")
    if few is None:
        return ""
    f1 = few.get("macro_f1", few.get("f1"))
    return (
        f"<p>Where the entities of a text disagree ({few['pairs']:,} pairs): accuracy {few['accuracy']:.4f}, "
        f"F1 {f1:.4f}.</p>"
    )


def _topics(part: Mapping[str, Any], taxonomy: Taxonomy) -> str:
    told = [
        ("likeliest right", part["accuracy"]),
        ("macro-F1 of the likeliest", part["macro_f1_of_likeliest"]),
        ("micro-F1 by threshold", part["micro_f1"]),
        ("macro-F1 by threshold", part["macro_f1"]),
        ("calibration error of the likeliest", part["ece_of_likeliest"]),
        ("by chance", chance_told(part, "ece_of_likeliest") or None),
        ("without a topic", part["without_topic"]),
    ]
    classes = [
        Bar(
            taxonomy[topic].en if topic in taxonomy else topic,
            row["f1"],
            note=f"P {row['precision']:.2f} R {row['recall']:.2f} n {row['texts']}",
        )
        for topic, row in part["classes"].items()
        if row["texts"]
    ]
    note = ""
    if part["not_taught"]:
        names = ", ".join(f"{label} ({count})" for label, count in part["not_taught"].items())
        note = f'<p class="soft">Labels the model was not taught: {escape(names)}; with these as '
        note += f"missed the micro-F1 is {part['micro_f1_all_labels']:.4f}.</p>"
    return (
        numbers(told, count=("texts", part["texts"]))
        + note
        + panels(
            ("F1 of each topic, by threshold", bars(classes, title="F1 of each topic")),
            ("Reliability of the likeliest", reliability(part["reliability"], title="share right over confidence")),
        )
    )


def _slices(rows: Sequence[Mapping[str, Any]], whole: Mapping[str, float | None]) -> str:
    if not rows:
        return ""
    parts = []
    for task, title in TASKS.items():
        chosen = [
            Bar(
                f"{row['by']}: {row['slice']}",
                row["accuracy"],
                row["low"],
                row["high"],
                f"macro-F1 {row['macro_f1']:.2f} n {row['answers']}",
                row["weak"],
            )
            for row in rows
            if row["task"] == task and row["answers"] >= _FEW
        ]
        if chosen:
            parts.append((title, bars(chosen, title=f"accuracy by slice, {title}", mark=whole.get(task))))
    note = '<p class="soft">Accuracy; the dashed line is that of the whole file. Weak slices are in another colour.</p>'
    return f"<h3>Slices</h3>{note}{panels(*parts)}"
