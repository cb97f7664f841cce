"""An examination in few words: the numbers a manifest keeps, and lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.documents import LABELS

_KEPT = {
    "sentiment": ("accuracy", "macro_f1", "ece", "bad_against_good"),
    "topics": ("accuracy", "micro_f1", "micro_f1_all_labels", "macro_f1", "macro_f1_of_likeliest", "ece"),
    "negative": ("accuracy", "f1"),
    "toward": ("accuracy", "macro_f1", "ece"),
    "toward_bad": ("accuracy", "f1"),
}


def summary(report: Mapping[str, Any]) -> dict[str, float]:
    """The few numbers of a file's report that a manifest keeps, rounded; `TASK_MEASURE` → number."""
    kept = {}
    for part, names in _KEPT.items():
        for name in names:
            value = (report.get(part) or {}).get(name)
            if value is not None:
                kept[f"{part}_{name}"] = round(value, 4)
        disagreeing = (report.get(part) or {}).get("disagreeing")
        if disagreeing is not None:
            name = "macro_f1" if part == "toward" else "f1"
            kept[f"{part}_disagreeing_accuracy"] = round(disagreeing["accuracy"], 4)
            kept[f"{part}_disagreeing_{name}"] = round(disagreeing[name], 4)
    return kept


def metrics(examination: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """What a manifest keeps of a whole examination: by file, then `minimal pairs`, `paraphrases`, `toward a company`,
    `robustness` and `bias`."""
    kept = {name: summary(report) for name, report in examination["files"].items()}
    pairs, same = examination["pairs"], examination["paraphrases"]
    if pairs is not None:
        kept["minimal pairs"] = _numbers(pairs, ("pairs", "ordered", "both_right", "good_negative", "bad_positive"))
    if same is not None:
        kept["paraphrases"] = _numbers(same, ("pairs", "disagree", "moved"))
    if examination["toward_exam"] is not None:
        kept["toward a company"] = _numbers(examination["toward_exam"], ("pairs", "accuracy", "macro_f1"))
    if examination["robustness"]:
        rows = examination["robustness"].items()
        kept["robustness"] = {f"{name}_flipped": round(row["flipped"], 4) for name, row in rows}
    for row in examination["bias"]:
        names = _numbers(row, ("mean_movement", "largest_movement", "flips"))
        kept.setdefault("bias", {}).update({f"{row['group']}_{row['lang']}_{key}": n for key, n in names.items()})
    return {name: numbers for name, numbers in kept.items() if numbers}


def _numbers(row: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, float]:
    return {name: round(row[name], 4) for name in names}


def summary_line(numbers: Mapping[str, float]) -> str:
    """A summary on one line."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4f}" if isinstance(value, float) else f"{name.replace('_', ' ')} {value}"
        for name, value in numbers.items()
    )


def lines(examination: Mapping[str, Any]) -> list[str]:
    """A whole examination as lines for people."""
    found = [examination["model"]]
    for name, report in examination["files"].items():
        found += report_lines(name, report)
    if examination["pairs"] is not None:
        row = examination["pairs"]
        found += [
            f"minimal pairs: {row['pairs']}, rightly ordered {row['ordered']:.1%}, both right {row['both_right']:.1%}, "
            f"good called negative {row['good_negative']:.1%}, bad called positive {row['bad_positive']:.1%}"
        ]
    if examination["paraphrases"] is not None:
        row = examination["paraphrases"]
        found.append(f"paraphrases: {row['pairs']}, {row['disagree']:.1%} get two answers")
    if examination["toward_exam"] is not None:
        row = examination["toward_exam"]
        found.append(
            f"toward a company: {row['pairs']} pairs of text and company, accuracy {row['accuracy']:.4f}, "
            f"macro-F1 {row['macro_f1']:.4f}"
        )
    for name, row in examination["robustness"].items():
        found.append(
            f"robustness, {name}: {row['flipped']:.1%} of {row['texts']} texts get another sentiment "
            f"({row['low']:.1%} to {row['high']:.1%}), {row['topics_changed']:.1%} other topics"
        )
    for row in examination["bias"]:
        found.append(
            f"bias, {row['group']} ({row['lang']}): the score moves by {row['mean_movement']:.4f} on average, "
            f"{row['largest_movement']:.4f} at most, {row['flips']:.2%} of {row['swaps']} swaps change the answer: "
            + ("within bounds" if row["passes"] else "OUT OF BOUNDS")
        )
    if examination["speed"] is not None:
        row = examination["speed"]
        tokens = "" if row["tokens_per_second"] is None else f", {row['tokens_per_second']:.0f} tokens/s"
        found.append(
            f"speed ({row['device']}, {row['cores']} cores): {row['texts_per_second']:.0f} texts/s{tokens}, first "
            f"answer after {row['start_seconds']:.1f} s, {row['peak_megabytes']:.0f} MB"
        )
    if examination["against"] is not None:
        found += _against_lines(examination["against"])
    return found


def _against_lines(held: Mapping[str, Any]) -> list[str]:
    found = [f"against {held['champion']}:"]
    for task, row in held["tasks"].items():
        found.append(
            f"  {task.replace('_', ' ')}: accuracy {row['candidate']:.4f} instead of {row['champion']:.4f} "
            f"({row['texts']} texts, p of worse {row['p_worse']:.3g})"
        )
        for name, gap in (("macro-F1", row["macro_f1"]), ("micro-F1", held["micro_f1"].get(task))):
            if gap is not None:
                found.append(
                    f"    {name} {gap['candidate']:.4f} instead of {gap['champion']:.4f}, "
                    f"difference {gap['low']:+.4f} to {gap['high']:+.4f}"
                )
    return [*found, f"  {held['verdict']['reason']}"]


def error_told(part: Mapping[str, Any], name: str = "ece") -> str:
    """A calibration error beside what chance alone makes of as many answers; "" where there is none."""
    if part.get(name) is None:
        return ""
    return f"{part[name]:.4f} (by chance {chance_told(part, name)})"


def chance_told(part: Mapping[str, Any], name: str = "ece") -> str:
    """What chance alone makes of as many answers: the mean, and what 95 of 100 stay under; "" where there is none."""
    chance = part.get(f"{name}_by_chance")
    return f"{chance['mean']:.3f}, up to {chance['high']:.3f}" if chance else ""


def nested_note(part: Mapping[str, Any]) -> str:
    """What is added to a figure of `toward_bad`: how many of its pairs no bundle was asked about; "" for none."""
    count = part["nested"]
    return f"; {count:,} of the pairs stand only within a longer name and count as not bad" if count else ""


def report_lines(file: object, report: Mapping[str, Any]) -> list[str]:
    """A file's report as lines for people."""
    found = [f"{file}: {report['texts']} texts"]
    if "sentiment" in report:
        found += _sentiment_lines("sentiment", report["sentiment"])
    if "topics" in report:
        found += _topic_lines(report["topics"])
    if "negative" in report:
        part = report["negative"]
        found.append(f"  negative or not: accuracy {part['accuracy']:.4f}, F1 {part['f1']:.4f}")
    if "toward" in report:
        part = report["toward"]
        found += _sentiment_lines(f"toward entities, {part['pairs']} pairs", part)
        if part["disagreeing"] is not None:
            few = part["disagreeing"]
            found.append(
                f"    where entities disagree, {few['pairs']} pairs: accuracy {few['accuracy']:.4f}, "
                f"macro-F1 {few['macro_f1']:.4f}"
            )
    if "toward_bad" in report:
        part = report["toward_bad"]
        found.append(
            f"  bad for the entity, {part['pairs']} pairs: accuracy {part['accuracy']:.4f}, F1 {part['f1']:.4f}"
            + nested_note(part)
        )
        if part["disagreeing"] is not None:
            few = part["disagreeing"]
            found.append(
                f"    where entities disagree, {few['pairs']} pairs: accuracy {few['accuracy']:.4f}, F1 {few['f1']:.4f}"
                + nested_note(few)
            )
    weak = [row for row in report.get("slices", ()) if row["weak"]]
    if weak:
        found.append("  weak slices:")
        found += [
            f"    {row['task'].replace('_', ' ')}, {row['by']} {row['slice']}: {row['accuracy']:.4f} "
            f"({row['low']:.3f} to {row['high']:.3f}, {row['answers']})"
            for row in weak
        ]
    return found


def _sentiment_lines(title: str, part: Mapping[str, Any]) -> list[str]:
    area = part["bad_against_good"]
    return [
        f"  {title}: accuracy {part['accuracy']:.4f}, macro-F1 {part['macro_f1']:.4f}, ECE {error_told(part)}"
        + ("" if area is None else f", bad against good {area:.4f}"),
        *_class_lines(part["classes"]),
        "    confusion (row: what it is, column: what was said): " + " ".join(LABELS),
        *(f"      {label:10s}" + "".join(f"{part['confusion'][label][to]:7d}" for to in LABELS) for label in LABELS),
    ]


def _topic_lines(part: Mapping[str, Any]) -> list[str]:
    found = []
    if part["accuracy"] is not None:
        found.append(
            f"  topics: likeliest right {part['accuracy']:.4f} (macro-F1 {part['macro_f1_of_likeliest']:.4f}), "
            f"by threshold micro-F1 {part['micro_f1']:.4f}, macro-F1 {part['macro_f1']:.4f}, "
            f"ECE of the likeliest {error_told(part, 'ece_of_likeliest')}, "
            f"over each text with each topic {part['ece']:.4f}, "
            f"{part['without_topic']:.1%} of the texts without one"
        )
    found += _class_lines(part["classes"])
    if part["not_taught"]:
        names = ", ".join(f"{label} ({n})" for label, n in part["not_taught"].items())
        found.append(f"    not taught: {names}; with these as missed micro-F1 {part['micro_f1_all_labels']:.4f}")
    return found


def _class_lines(classes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"    {name:20s} precision {row['precision']:.3f} recall {row['recall']:.3f} F1 {row['f1']:.3f} "
        f"({row['texts']})"
        for name, row in classes.items()
        if row["texts"]
    ]
