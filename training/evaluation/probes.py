"""The report's sections beside the labelled files: pairs, robustness, bias, speed, and the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from training.evaluation.charts import Bar, bars, differences
from training.evaluation.layout import TASKS, details, numbers, panels, table


def pairs_section(part: Mapping[str, Any]) -> str:
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
    told = [
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
        + numbers(told, count=("pairs", part["pairs"]), percent=True)
        + panels(
            (
                "Rightly ordered, by kind",
                bars(kinds, title="rightly ordered, by kind", percent=True, mark=part["ordered"]),
            )
        )
        + details(f"The worst of the {part['wrong']} that come out wrong", head, failing)
    )


def paraphrases_section(part: Mapping[str, Any]) -> str:
    told = [("get two sentiments", part["disagree"]), ("get different topics", part["topics_differ"])]
    rows = [[row["a"], row["a_said"], row["b"], row["b_said"]] for row in part["failing"]]
    return (
        f"<p>Two texts that say the same; the score differs by {part['moved']:.3f} on average.</p>"
        + numbers(told, count=("pairs", part["pairs"]), percent=True)
        + details(
            "Those that get two sentiments", ["text", "was called", "the same in other words", "was called"], rows
        )
    )


def robustness_section(part: Mapping[str, Mapping[str, Any]]) -> str:
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
        + panels(
            ("Another sentiment", bars(flips, title="share with another sentiment", top=top, percent=True)),
            ("Another set of topics", bars(topics, title="share with other topics", top=top, percent=True)),
        )
        + details("Texts whose sentiment changed", ["change", "text", "was called", "changed to", "was called"], rows)
    )


def bias_section(rows: Sequence[Mapping[str, Any]]) -> str:
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
        + panels(
            ("Mean movement of the score", bars(moved, title="mean movement", top=top, mark=bounds["mean_movement"])),
            (
                "Swaps that change the answer",
                bars(flips, title="share of flips", top=most, percent=True, mark=bounds["flips"]),
            ),
        )
        + "<h3>Words that move it most</h3>"
        + table(["words", "mean movement away from the others"], lifts)
        + details("Sentences that move most", ["words", "lowest", "score", "highest", "score"], examples)
    )


def speed_section(part: Mapping[str, Any]) -> str:
    told = [("texts a second", f"{part['texts_per_second']:,.0f}")]
    if part["tokens_per_second"] is not None:
        told.append(("tokens a second", f"{part['tokens_per_second']:,.0f}"))
    told += [
        ("seconds to the first answer", f"{part['start_seconds']:.1f}"),
        ("MB of memory at most", f"{part['peak_megabytes']:,.0f}"),
        ("device", f"{part['device']}, {part['cores']} cores"),
    ]
    return numbers(told, count=("texts timed", part["texts"]))


def against_section(part: Mapping[str, Any]) -> str:
    judged = part["verdict"]
    gaps, rows = [], []
    for task, row in part["tasks"].items():
        title = TASKS[task]
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
            TASKS[row["task"]],
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
    said = "May be promoted" if judged["passes"] else "Is worse" if judged["worse"] else "Not compared"
    return (
        f'<p class="verdict{bad}"><span class="badge{bad}">{said}</span>: {escape(judged["reason"])}.</p>'
        "<h3>Accuracy (exact McNemar; the answers about one text are flipped together)</h3>"
        + table([*head, "p of worse", "p of different"], rows)
        + "<h3>F1, candidate − champion (paired bootstrap over texts)</h3>"
        + panels(("", differences(gaps, title="difference of F1 with its interval")))
        + details("Slices", ["task", "slice", "answers", "champion", "candidate", "p of worse"], slices)
    )
