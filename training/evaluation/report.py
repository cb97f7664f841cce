"""The HTML report: one page that needs nothing beside itself; every text in it is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from monitor.understand.topics import Taxonomy
from training.evaluation.charts import Bar, bars, confusion, differences, reliability

_STYLE = Path(__file__).with_name("report.css")
_LONG = 30
"""A column that holds a longer text than this may break it anywhere, links too."""
_TASKS = {
    "sentiment": "Sentiment",
    "topics": "Topics",
    "negative": "Negative or not",
    "toward": "Sentiment toward entities",
    "toward_bad": "Bad for the entity or not",
}


def page(examination: Mapping[str, Any], taxonomy: Taxonomy, *, at: datetime | None = None) -> str:
    """The report on an examination as one HTML document."""
    found = examination
    sections: list[tuple[str, str, str]] = []
    if found["against"] is not None:
        sections.append(("against", f"Against {found['against']['champion']}", _against(found["against"])))
    for number, (name, report) in enumerate(found["files"].items()):
        sections.append((f"file{number}", Path(name).name, _file(report, taxonomy)))
    if found["pairs"] is not None:
        sections.append(("pairs", "Minimal pairs", _pairs(found["pairs"])))
    if found["paraphrases"] is not None:
        sections.append(("paraphrases", "Paraphrases", _paraphrases(found["paraphrases"])))
    if found["toward_exam"] is not None:
        sections.append(("toward", "Toward a company", _sentiment(found["toward_exam"], "pairs")))
    if found["robustness"]:
        sections.append(("robustness", "Robustness", _robustness(found["robustness"])))
    if found["bias"]:
        sections.append(("bias", "Bias", _bias(found["bias"])))
    if found["speed"] is not None:
        sections.append(("speed", "Speed", _speed(found["speed"])))
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
        for task, title in _TASKS.items():
            part = report.get(task)
            if part is None or part.get("accuracy") is None:
                continue
            f1 = part.get("macro_f1_of_likeliest", part.get("macro_f1"))
            other = f"micro-F1 {part['micro_f1']:.4f}" if "micro_f1" in part else ""
            if "f1" in part:
                other = f"F1 {part['f1']:.4f}"
            if part.get("bad_against_good") is not None:
                other = f"bad against good {part['bad_against_good']:.4f}"
            ece = part.get("ece_of_likeliest", part.get("ece"))
            count = part["pairs"] if "pairs" in part else part["texts"]
            rows.append([Path(name).name, title, count, part["accuracy"], f1, other, ece])
    head = ["file", "task", "answers", "accuracy", "macro-F1", "", "calibration error"]
    return _table(head, rows)


def _file(report: Mapping[str, Any], taxonomy: Taxonomy) -> str:
    parts = [f'<p class="soft">{report["texts"]:,} texts.</p>']
    for task, title in _TASKS.items():
        part = report.get(task)
        if part is None:
            continue
        parts.append(f"<h3>{title}</h3>")
        if task in ("sentiment", "toward"):
            parts.append(_sentiment(part, "pairs" if task == "toward" else "texts"))
        elif task == "topics":
            parts.append(_topics(part, taxonomy))
        else:
            numbers = [("accuracy", part["accuracy"]), ("precision", part["precision"]), ("recall", part["recall"])]
            parts.append(_numbers([*numbers, ("F1", part["f1"])]) + _disagreeing(part))
    parts.append(_slices(report["slices"], {task: _accuracy(report[task]) for task in _TASKS if task in report}))
    if report["mistakes"]:
        rows = [[r["text"], r["is"], r["said"], r["probability"]] for r in report["mistakes"]]
        parts.append(
            "<details><summary>The texts on which it was surest of a wrong answer</summary>"
            + _table(["text", "is", "was called", "probability"], rows, digits=2)
            + "</details>"
        )
    return "".join(parts)


def _accuracy(part: Mapping[str, Any]) -> float | None:
    found: float | None = part["accuracy"]
    return found


def _sentiment(part: Mapping[str, Any], counted: str) -> str:
    numbers = [("accuracy", part["accuracy"]), ("macro-F1", part["macro_f1"]), ("calibration error", part["ece"])]
    numbers += [("adaptive calibration error", part["adaptive_ece"]), ("Brier score", part["brier"])]
    if part["bad_against_good"] is not None:
        numbers.append(("bad against good (ROC area)", part["bad_against_good"]))
    classes = [
        Bar(name, row["f1"], note=f"P {row['precision']:.2f} R {row['recall']:.2f} n {row['texts']}")
        for name, row in part["classes"].items()
    ]
    return (
        _numbers(numbers, count=(counted, part[counted]))
        + _disagreeing(part)
        + _panels(
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
    numbers = [
        ("likeliest right", part["accuracy"]),
        ("macro-F1 of the likeliest", part["macro_f1_of_likeliest"]),
        ("micro-F1 by threshold", part["micro_f1"]),
        ("macro-F1 by threshold", part["macro_f1"]),
        ("calibration error of the likeliest", part["ece_of_likeliest"]),
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
        note = f'<p class="soft">Labels the model was not taught: {escape(names)}.</p>'
    return (
        _numbers(numbers, count=("texts", part["texts"]))
        + note
        + _panels(
            ("F1 of each topic, by threshold", bars(classes, title="F1 of each topic")),
            ("Reliability of the likeliest", reliability(part["reliability"], title="share right over confidence")),
        )
    )


def _slices(rows: Sequence[Mapping[str, Any]], whole: Mapping[str, float | None]) -> str:
    if not rows:
        return ""
    panels = []
    for task, title in _TASKS.items():
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
            if row["task"] == task
        ]
        if chosen:
            panels.append((title, bars(chosen, title=f"accuracy by slice, {title}", mark=whole.get(task))))
    note = '<p class="soft">Accuracy; the dashed line is that of the whole file. Weak slices are in another colour.</p>'
    return f"<h3>Slices</h3>{note}{_panels(*panels)}"


def _pairs(part: Mapping[str, Any]) -> str:
    kinds = [
        Bar(
            name,
            row["ordered"],
            row["low"],
            row["high"],
            f"good neg. {row['good_negative']:.0%} bad pos. {row['bad_positive']:.0%} n {row['pairs']}",
        )
        for name, row in part["kinds"].items()
    ]
    between = part["neutral_between"]
    numbers = [
        ("rightly ordered", part["ordered"]),
        ("good positive and bad negative", part["both_right"]),
        ("good called negative", part["good_negative"]),
        ("bad called positive", part["bad_positive"]),
        *([] if between is None else [("neutral in between", between)]),
    ]
    failing = [
        [row["good"], row["good_score"], row["good_said"], row["bad"], row["bad_score"], row["bad_said"]]
        for row in part["failing"]
    ]
    head = ["good", "score", "was called", "bad", "score", "was called"]
    return (
        "<p>Two texts that differ in little, one good and one bad, which no training saw. A pair is rightly ordered "
        "when the good one has the higher score, P(positive) − P(negative).</p>"
        + _numbers(numbers, count=("pairs", part["pairs"]), percent=True)
        + _panels(
            (
                "Rightly ordered, by kind",
                bars(kinds, title="rightly ordered, by kind", percent=True, mark=part["ordered"]),
            )
        )
        + _details(f"The worst of the {part['wrong']} that come out wrong", head, failing)
    )


def _paraphrases(part: Mapping[str, Any]) -> str:
    numbers = [("get two sentiments", part["disagree"]), ("get different topics", part["topics_differ"])]
    rows = [[row["a"], row["a_said"], row["b"], row["b_said"]] for row in part["failing"]]
    return (
        f"<p>Two texts that say the same; the score differs by {part['moved']:.3f} on average.</p>"
        + _numbers(numbers, count=("pairs", part["pairs"]), percent=True)
        + _details(
            "Those that get two sentiments", ["text", "was called", "the same in other words", "was called"], rows
        )
    )


def _robustness(part: Mapping[str, Mapping[str, Any]]) -> str:
    top = max(0.1, *(row["high"] for row in part.values()), *(row["topics_changed"] for row in part.values()))

    def told(row: Mapping[str, Any]) -> str:
        if row["accuracy_before"] is None:
            return f"n {row['texts']}"
        return f"accuracy {row['accuracy_before']:.3f} → {row['accuracy_after']:.3f}, n {row['texts']}"

    flips = [Bar(name, row["flipped"], row["low"], row["high"], told(row)) for name, row in part.items()]
    topics = [Bar(name, row["topics_changed"], note=f"n {row['texts']}") for name, row in part.items()]
    rows = [
        [name, shown["before"], shown["said"], shown["after"], shown["then"]]
        for name, row in part.items()
        for shown in row["examples"]
    ]
    return (
        "<p>Texts of the files changed in ways that leave their meaning: how many get another answer.</p>"
        + _panels(
            ("Another sentiment", bars(flips, title="share with another sentiment", top=top, percent=True)),
            ("Another set of topics", bars(topics, title="share with other topics", top=top, percent=True)),
        )
        + _details("Texts whose sentiment changed", ["change", "text", "was called", "changed to", "was called"], rows)
    )


def _bias(rows: Sequence[Mapping[str, Any]]) -> str:
    bounds = rows[0]["bounds"]
    top = max(2 * bounds["mean_movement"], *(row["mean_movement"] for row in rows))
    moved = [
        Bar(
            f"{row['group']} ({row['lang']})",
            row["mean_movement"],
            note=f"largest {row['largest_movement']:.3f}",
            bad=row["mean_movement"] > bounds["mean_movement"],
        )
        for row in rows
    ]
    most = max(2 * bounds["flips"], *(row["flips"] for row in rows))
    flips = [
        Bar(
            f"{row['group']} ({row['lang']})",
            row["flips"],
            note=f"{row['swaps']:,} swaps",
            bad=row["flips"] > bounds["flips"],
        )
        for row in rows
    ]
    lifts = [
        [f"{row['group']} ({row['lang']})", ", ".join(f"{word} {lift:+.3f}" for word, lift in row["lifts"].items())]
        for row in rows
    ]
    examples = [
        [row["group"], shown["low"], shown["low_score"], shown["high"], shown["high_score"]]
        for row in rows
        for shown in row["examples"]
    ]
    failed = [f"{row['group']} ({row['lang']})" for row in rows if not row["passes"]]
    said = f'<span class="badge bad">out of bounds: {escape(", ".join(failed))}</span>'
    return (
        "<p>How far the score moves when one word is swapped for another in the same sentence. Bounds (dashed): "
        f"{bounds['mean_movement']:g} on average, {bounds['flips']:.0%} of the swaps change the answer. "
        + (said if failed else '<span class="badge">All groups keep them.</span>')
        + "</p>"
        + _panels(
            ("Mean movement of the score", bars(moved, title="mean movement", top=top, mark=bounds["mean_movement"])),
            (
                "Swaps that change the answer",
                bars(flips, title="share of flips", top=most, percent=True, mark=bounds["flips"]),
            ),
        )
        + "<h3>Words that move it most</h3>"
        + _table(["words", "mean movement away from the others"], lifts)
        + _details("Sentences that move most", ["words", "lowest", "score", "highest", "score"], examples)
    )


def _speed(part: Mapping[str, Any]) -> str:
    numbers = [("texts a second", f"{part['texts_per_second']:,.0f}")]
    if part["tokens_per_second"] is not None:
        numbers.append(("tokens a second", f"{part['tokens_per_second']:,.0f}"))
    numbers += [
        ("seconds to the first answer", f"{part['start_seconds']:.1f}"),
        ("MB of memory at most", f"{part['peak_megabytes']:,.0f}"),
        ("device", f"{part['device']}, {part['cores']} cores"),
    ]
    return _numbers(numbers, count=("texts timed", part["texts"]))


def _against(part: Mapping[str, Any]) -> str:
    judged = part["verdict"]
    gaps, rows = [], []
    for task, row in part["tasks"].items():
        title = _TASKS[task]
        rows.append(
            [
                title,
                row["texts"],
                row["champion"],
                row["candidate"],
                row["only_champion"],
                row["only_candidate"],
                f"{row['p_worse']:.3g}",
                f"{row['p_differs']:.3g}",
            ]
        )
        for name, gap in (("macro-F1", row["macro_f1"]), ("micro-F1", part["micro_f1"].get(task))):
            if gap is not None:
                gaps.append((f"{title}, {name}", gap["candidate"] - gap["champion"], gap["low"], gap["high"]))
    slices = [
        [
            _TASKS[row["task"]],
            f"{row['by']}: {row['name']}",
            row["comparison"]["texts"],
            row["comparison"]["champion"],
            row["comparison"]["candidate"],
            f"{row['comparison']['p_worse']:.3g}",
        ]
        for row in part["slices"]
    ]
    head = ["task", "answers", "champion", "candidate", "only champion right", "only candidate right"]
    bad = "" if judged["passes"] else " bad"
    return (
        f'<p class="verdict{bad}"><span class="badge{bad}">'
        f"{'May be promoted' if judged['passes'] else 'Is worse'}</span>: {escape(judged['reason'])}.</p>"
        "<h3>Accuracy (exact McNemar)</h3>"
        + _table([*head, "p of worse", "p of different"], rows)
        + "<h3>F1, candidate − champion (paired bootstrap)</h3>"
        + _panels(("", differences(gaps, title="difference of F1 with its interval")))
        + _details("Slices", ["task", "slice", "answers", "champion", "candidate", "p of worse"], slices)
    )


def _details(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    return f"<details><summary>{escape(title)}</summary>{_table(head, rows, digits=3)}</details>"


def _numbers(rows: Sequence[tuple[str, Any]], *, count: tuple[str, int] | None = None, percent: bool = False) -> str:
    cells = [f"<div><dt>{escape(count[0])}</dt><dd>{count[1]:,}</dd></div>"] if count else []
    for name, value in rows:
        if value is None:
            continue
        text = value if isinstance(value, str) else f"{value:.1%}" if percent else f"{value:.4f}"
        cells.append(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>")
    return f'<dl class="numbers">{"".join(cells)}</dl>'


def _panels(*panels: tuple[str, str]) -> str:
    inner = "".join(
        f'<div class="panel">{f"<h4>{escape(title)}</h4>" if title else ""}<div class="scroll">{body}</div></div>'
        for title, body in panels
        if body
    )
    return f'<div class="panels">{inner}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, digits: int = 4) -> str:
    def kind(place: int) -> str:
        values = [row[place] for row in rows if row[place] is not None]
        if any(isinstance(value, (int, float)) for value in values) or head[place].startswith("p of"):
            return " class=number"
        return " class=text" if any(len(str(value)) > _LONG for value in values) else ""

    def cell(place: int, value: Any) -> str:
        text = f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}" if isinstance(value, float) else value
        return f"<td{kinds[place]}>{'' if value is None else escape(str(text))}</td>"

    kinds = [kind(place) for place in range(len(head))]
    names = "".join(f'<th scope="col"{kinds[place]}>{escape(name)}</th>' for place, name in enumerate(head))
    body = "".join(f"<tr>{''.join(cell(place, value) for place, value in enumerate(row))}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="plain"><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'
    )
