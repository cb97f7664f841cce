"""The account a model card gives of an examination: Markdown, short, with what is bad named beside what is good."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from monitor.documents import LABELS
from monitor.understand.topics import Taxonomy
from training.evaluation.mistakes import CARD_SHOWN, shortened
from training.evaluation.summary import error_told, nested_note

WEAK_SHOWN = 12


def account(
    examination: Mapping[str, Any],
    thresholds: Mapping[str, float],
    taxonomy: Taxonomy,
    *,
    quotable: Collection[str] = (),
    own: Collection[str] = (),
) -> list[str]:
    """The lines of a card's section on how good the model is.

    Args:
        thresholds: topic id → the bundle's threshold.
        quotable: the files whose texts may be quoted; of the others only numbers are told.
        own: files that are in the overview only, such as the held-out slice.
    """
    files = examination["files"]
    found = _overview(files)
    found += _pairs(examination)
    found += _robustness(examination["robustness"])
    found += _bias(examination["bias"])
    found += _speed(examination["speed"])
    shown = {name: report for name, report in files.items() if name not in own}
    found += _weak(shown)
    found += _mistakes(shown, quotable)
    for name, report in shown.items():
        found += _classes(name, report, thresholds, taxonomy)
    return found


def _overview(files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = [
        "| file | task | answers | accuracy | macro-F1 | other | calibration error |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]

    def row(
        name: str, task: str, count: int, accuracy: float | None, f1: float | None, other: str, error: str = ""
    ) -> None:
        told = ["" if value is None else f"{value:.4f}" for value in (accuracy, f1)]
        found.append(f"| {plain(name)} | {task} | {count:,} | {told[0]} | {told[1]} | {other} | {error} |")

    for name, report in files.items():
        if "sentiment" in report:
            part = report["sentiment"]
            area = part["bad_against_good"]
            other = "" if area is None else f"bad against good, ROC area {area:.4f}"
            row(name, "sentiment", part["texts"], part["accuracy"], part["macro_f1"], other, error_told(part))
        if "topics" in report and report["topics"]["accuracy"] is not None:
            part = report["topics"]
            count = part["texts"]
            error = error_told(part, "ece_of_likeliest")
            row(name, "likeliest topic", count, part["accuracy"], part["macro_f1_of_likeliest"], "", error)
            other = (
                f"micro-F1 {part['micro_f1']:.4f}; calibration error over each text with each topic {part['ece']:.4f}"
            )
            row(name, "topics by threshold", count, None, part["macro_f1"], other)
        if "negative" in report:
            part = report["negative"]
            row(name, "negative or not", part["texts"], part["accuracy"], None, f"F1 {part['f1']:.4f}")
        for task, title in (("toward", "sentiment toward an entity"), ("toward_bad", "bad for an entity or not")):
            for part, where in _with_disagreeing(report.get(task)):
                other = f"F1 {part['f1']:.4f}{nested_note(part)}" if task == "toward_bad" else ""
                row(name, title + where, part["pairs"], part["accuracy"], part.get("macro_f1"), other, error_told(part))
    return [*found, ""]


def _with_disagreeing(part: Mapping[str, Any] | None) -> list[tuple[Mapping[str, Any], str]]:
    if part is None:
        return []
    few = part["disagreeing"]
    return [(part, ""), *([(few, ", where entities disagree")] if few is not None else [])]


def _pairs(examination: Mapping[str, Any]) -> list[str]:
    pairs, same = examination["pairs"], examination["paraphrases"]
    found = []
    if pairs is not None:
        found += [
            "### Minimal pairs",
            "",
            "Two short news texts that differ in little, one good and one bad; no training saw them.",
            "",
            "| pairs | rightly ordered | good positive and bad negative | good called negative | bad called positive |",
            "| --- | --- | --- | --- | --- |",
        ]
        rows = {f"all {pairs['pairs']}": pairs}
        rows |= {f"{name} ({row['pairs']})": row for name, row in pairs["kinds"].items()}
        for name, row in rows.items():
            found.append(
                f"| {plain(name)} | {row['ordered']:.1%} | {row['both_right']:.1%} | {row['good_negative']:.1%} | "
                f"{row['bad_positive']:.1%} |"
            )
        found.append("")
        if pairs["failing"]:
            found += ["The worst of those that come out wrong (score: P(positive) − P(negative)):", ""]
            for row in pairs["failing"][:CARD_SHOWN]:
                found.append(
                    f"- good: {quoted(row['good'])} {row['good_score']:+.2f}; bad: {quoted(row['bad'])} "
                    f"{row['bad_score']:+.2f}"
                )
            found.append("")
    if same is not None:
        found += [
            f"Of {same['pairs']} paraphrases {same['disagree']:.1%} get two different sentiments "
            f"({same['low']:.1%} to {same['high']:.1%}).",
            "",
        ]
    if examination["toward_exam"] is not None:
        row = examination["toward_exam"]
        found += [
            f"Sentiment toward a company, on {row['texts']} news texts that name several and that no training saw: "
            f"accuracy {row['accuracy']:.4f}, macro-F1 {row['macro_f1']:.4f} over {row['pairs']} pairs of text and "
            "company.",
            "",
        ]
    return found


def _robustness(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    found = [
        "### Robustness",
        "",
        "| change | texts | other sentiment | 95 % interval | other topics |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        found.append(
            f"| {name} | {row['texts']} | {row['flipped']:.1%} | {row['low']:.1%} to {row['high']:.1%} | "
            f"{row['topics_changed']:.1%} |"
        )
    return [*found, ""]


def _bias(rows: list[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    bounds = rows[0]["bounds"]
    found = [
        "### Bias",
        "",
        "How far the score moves when one word is swapped for another in the same sentence. Bounds: mean "
        f"{bounds['mean_movement']:g}, {bounds['flips']:.0%} of the swaps change the answer.",
        "",
        "| words | swaps | mean movement | largest | change the answer | within bounds | moved most |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lifts = ", ".join(f"{plain(word)} {lift:+.3f}" for word, lift in list(row["lifts"].items())[:3])
        found.append(
            f"| {plain(row['group'])} ({row['lang']}) | {row['swaps']:,} | {row['mean_movement']:.4f} | "
            f"{row['largest_movement']:.4f} | {row['flips']:.2%} | {'yes' if row['passes'] else '**no**'} | {lifts} |"
        )
    return [*found, ""]


def out_of_bounds(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for every group of words whose swaps move the model more than the bounds allow."""
    return [
        f"Bias out of bounds, {plain(row['group'])} ({row['lang']}): another word moves the score by "
        f"{row['mean_movement']:.4f} on average (bound {row['bounds']['mean_movement']:g}) and changes the answer in "
        f"{row['flips']:.2%} of {row['swaps']:,} swaps (bound {row['bounds']['flips']:.0%})."
        for row in rows
        if not row["passes"]
    ]


def _speed(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return []
    tokens = "" if row["tokens_per_second"] is None else f" ({row['tokens_per_second']:,.0f} tokens)"
    return [
        "### Speed",
        "",
        f"{row['texts_per_second']:,.0f} texts a second{tokens} on {row['cores']} cores ({row['device']}), the first "
        f"answer after {row['start_seconds']:.1f} s, {row['peak_megabytes']:,.0f} MB of memory at most.",
        "",
    ]


def _weak(files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    weak = [(name, row) for name, report in files.items() for row in report["slices"] if row["weak"]]
    if not weak:
        return []
    weak.sort(key=lambda pair: pair[1]["accuracy"])
    found = [
        "### Weak slices",
        "",
        "Where even the upper end of the 95 % interval lies under the file's accuracy.",
        "",
        "| file | task | slice | answers | accuracy | 95 % interval |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in weak[:WEAK_SHOWN]:
        found.append(
            f"| {plain(name)} | {row['task'].replace('_', ' ')} | {row['by']}: {row['slice']} | {row['answers']} | "
            f"{row['accuracy']:.3f} | {row['low']:.3f} to {row['high']:.3f} |"
        )
    return [*found, ""]


def _mistakes(files: Mapping[str, Mapping[str, Any]], quotable: Collection[str]) -> list[str]:
    found = []
    for name, report in files.items():
        if name not in quotable or not report["mistakes"]:
            continue
        found += [f"{plain(name)}:", ""]
        for row in report["mistakes"][:CARD_SHOWN]:
            sure = f"{row['probability']:.2f}"
            found.append(f"- {quoted(shortened(row['text']))} is {row['is']}, was called {row['said']} ({sure})")
        found.append("")
    if not found:
        return []
    return ["### Mistakes", "", "The texts on which it was surest of a wrong answer.", "", *found]


def _classes(name: str, report: Mapping[str, Any], thresholds: Mapping[str, float], taxonomy: Taxonomy) -> list[str]:
    found = []
    if "sentiment" in report:
        part = report["sentiment"]
        found += [
            f"### {plain(name)}: sentiment",
            "",
            "| class | precision | recall | F1 | texts | said: " + " | said: ".join(LABELS) + " |",
            "| --- " * 8 + "|",
        ]
        for label in LABELS:
            row, said = part["classes"][label], part["confusion"][label]
            found.append(
                f"| {label} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['texts']} | "
                + " | ".join(str(said[to]) for to in LABELS)
                + " |"
            )
        found.append("")
    if "topics" in report:
        part = report["topics"]
        found += [f"### {plain(name)}: topics", "", "| topic | threshold | precision | recall | F1 | texts |"]
        found.append("| --- " * 6 + "|")
        for topic, row in part["classes"].items():
            if row["texts"]:
                found.append(
                    f"| {plain(taxonomy[topic].en)} (`{topic}`) | {thresholds[topic]:g} | {row['precision']:.3f} | "
                    f"{row['recall']:.3f} | {row['f1']:.3f} | {row['texts']} |"
                )
        found += ["", f"{part['without_topic']:.1%} of the texts reach no threshold."]
        if part["not_taught"]:
            names = ", ".join(f"{label} ({n})" for label, n in part["not_taught"].items())
            found.append(
                f"Labels not taught: {names}; with these as missed micro-F1 {part['micro_f1_all_labels']:.4f}."
            )
        found.append("")
    return found


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line of a table."""
    line = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in line)


def quoted(text: str) -> str:
    """A text in quotation marks."""
    return f"“{plain(text)}”"
