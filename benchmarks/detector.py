"""How well and how fast the detector works, on simulated feeds whose truth is known.

    python benchmarks/detector.py quiet [--weeks 8] [--series 300] [--scatter 0.2] [--correlation 0.02] [--seed 1]
    python benchmarks/detector.py surges [--lift 5] [--scatter 0.2] [--correlation 0.02] [--seed 1]
    python benchmarks/detector.py busy
    python benchmarks/detector.py speed

`quiet`: negative binomial noise with a weekly shape and nothing staged: how often does it open anything?
`surges`: surges of a given lift planted in series of known rates: how many are found, and how fast?
`busy`: hours of ten times the volume at an unchanged share of negatives: how many are mistaken for a surge?
`speed`: a year of minutes with 42,000 documents over 400 series.
Each prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from monitor.detect.series import Cell
from monitor.detect.walk import Walk
from monitor.documents import Series
from monitor.settings import DetectionSettings

WEEK = 7 * 1440
EVERYTHING = Series("", "", "en")
SHARE = 0.2  # of documents that are negative
MONDAY = 4 * 1440  # the epoch was a Thursday


class Noise(NamedTuple):
    """How unsteady a series is from hour to hour: its volume, and its share of negatives."""

    scatter: float  # squared relative scatter of the volume: variance = mean + scatter · mean²
    correlation: float  # of two documents' sentiment within an hour


def weekly() -> np.ndarray:
    """Relative volume of each hour of a week from Monday: busy working hours, quiet nights, quieter weekends."""
    hour = np.arange(24)
    day = 0.35 + 1.3 * np.exp(-(((hour - 15) / 4.5) ** 2))
    week = np.concatenate([day * factor for factor in (1.1, 1.15, 1.1, 1.1, 1.0, 0.4, 0.45)])
    return week / week.mean()


def feed(
    rates: np.ndarray, weeks: int, noise: Noise, seed: int, boosts: dict[int, list[tuple[int, int, float, float]]]
) -> Iterator[Cell]:
    """Cells of each series (given its mean negatives per hour) and of their sum, minute by minute.

    Counts are Poisson around a rate that is gamma distributed anew each hour and series, of which a share that is
    beta distributed around SHARE is negative: hourly totals are negative binomial, negatives given the total
    beta-binomial. `boosts` maps a series to spans (begin, end, in minutes; lift of the negatives, lift of the
    other documents).
    """
    random = np.random.default_rng(seed)
    shape = weekly()
    names = [Series("", f"S{i:04d}", "en") for i in range(len(rates))]
    for hour in range(weeks * 168):
        level = shape[hour % 168] / 60
        wobble = random.gamma(1 / noise.scatter, noise.scatter, len(rates))
        size = 1 / noise.correlation - 1
        share = random.beta(SHARE * size, (1 - SHARE) * size, len(rates))
        mean = np.outer(rates * wobble * level / SHARE, np.ones(60))
        negative_mean, other_mean = mean * share[:, None], mean * (1 - share[:, None])
        for i, spans in boosts.items():
            for begin, end, lift, other_lift in spans:
                low, high = max(begin - hour * 60, 0), min(end - hour * 60, 60)
                if low < high:
                    negative_mean[i, low:high] *= lift
                    other_mean[i, low:high] *= other_lift
        negative = random.poisson(negative_mean)
        total = negative + random.poisson(other_mean)
        for at in range(60):
            minute = MONDAY + hour * 60 + at
            if total[:, at].any():
                yield Cell(minute, EVERYTHING, int(negative[:, at].sum()), int(total[:, at].sum()))
                for i in np.flatnonzero(total[:, at]).tolist():
                    yield Cell(minute, names[i], int(negative[i, at]), int(total[i, at]))


def mixed_rates(count: int) -> np.ndarray:
    """Negatives per hour, evenly on a logarithmic scale from one in four days to twenty an hour."""
    return np.geomspace(0.01, 20, count)


def quiet(weeks: int, series: int, noise: Noise, seed: int) -> dict[str, object]:
    """False openings a week on a feed without surges."""
    walk = Walk(DetectionSettings())
    started = time.perf_counter()
    opened = [event for event in walk.run(feed(mixed_rates(series), weeks, noise, seed, {})) if event.kind == "open"]
    judged = weeks - 2 / 7
    return {
        "false_openings": len(opened),
        "a_week": round(len(opened) / judged, 2),
        "by_window": dict(sorted(Counter(event.judgement.window for event in opened).items())),
        "first_two_weeks": sum(event.minute < MONDAY + 2 * WEEK for event in opened),
        "series": series,
        "seconds": round(time.perf_counter() - started, 1),
    }


def surges(lift: float, noise: Noise, seed: int, hours: float = 2.0) -> dict[str, object]:
    """Planted surges (negatives × lift, other documents unchanged), two a week per series from week three."""
    rates = np.array([2, 5, 10, 20, 40, 80], dtype=float)
    copies, weeks = 6, 6
    series = np.repeat(rates, copies)
    random = np.random.default_rng(seed + 1)
    boosts: dict[int, list[tuple[int, int, float, float]]] = defaultdict(list)
    for i in range(len(series)):
        for week in range(2, weeks):
            for day in (1, 3):  # begun in the working hours of Tuesday and Thursday
                begin = week * WEEK + day * 1440 + int(random.integers(9 * 60, 19 * 60))
                boosts[i].append((begin, begin + int(hours * 60), lift, 1.0))
    # 264 quiet series beside them, so that the bar is as high as it would be in a real feed.
    everything = np.concatenate([series, mixed_rates(264)])
    opened: dict[str, list[int]] = defaultdict(list)
    resolved: dict[str, list[int]] = defaultdict(list)
    for event in Walk(DetectionSettings()).run(feed(everything, weeks, noise, seed, boosts)):
        if event.kind != "escalate":
            (opened if event.kind == "open" else resolved)[event.series.company].append(event.minute - MONDAY)
    shape = weekly()
    by_rate = {}
    for rate in rates:
        delays, planted, again, after, here = [], 0, 0, [], []
        for i in np.flatnonzero(series == rate).tolist():
            for begin, end, _, _ in boosts[i]:
                planted += 1
                here.append(rate * shape[begin // 60 % 168])
                hits = [at for at in opened[f"S{i:04d}"] if begin <= at < end + 60]
                delays += [at - begin + 1 for at in hits[:1]]
                again += len(hits) > 1
                after += [at - end for at in resolved[f"S{i:04d}"] if end <= at < end + 1440][:1]
        by_rate[f"{rate:g}/h"] = {
            "planted": planted,
            "mean_rate_then": round(float(np.mean(here)), 1),
            "found": len(delays),
            "within_20_min": sum(delay <= 20 for delay in delays),
            "delay_median": float(np.median(delays)) if delays else None,
            "delay_90": float(np.quantile(delays, 0.9)) if delays else None,
            "opened_twice": again,
            "resolved_after_end_median": float(np.median(after)) if after else None,
        }
    false = sum(len(times) for name, times in opened.items() if name and int(name[1:]) >= len(series))
    return {"lift": lift, "hours": hours, **noise._asdict(), "by_rate": by_rate, "openings_elsewhere": false}


def busy(noise: Noise, seed: int) -> dict[str, object]:
    """Two hours of ten times the volume, share unchanged, twice a week in 60 series."""
    rates = np.concatenate([np.geomspace(1, 40, 60), mixed_rates(100)])
    random = np.random.default_rng(seed + 1)
    boosts = {}
    for i in range(60):
        begins = [w * WEEK + d * 1440 + int(random.integers(540, 1140)) for w in range(2, 6) for d in (1, 3)]
        boosts[i] = [(begin, begin + 120, 10.0, 10.0) for begin in begins]
    names = {f"S{i:04d}" for i in range(60)}
    events = Walk(DetectionSettings()).run(feed(rates, 6, noise, seed, boosts))
    raised = sum(event.kind == "open" and event.series.company in names for event in events)
    return {"busy_spells": 60 * 8, "raised": raised}


def speed(seed: int) -> dict[str, object]:
    """A year with 42,000 documents, each in the whole feed, a company, a topic and both."""
    random = np.random.default_rng(seed)
    minutes = np.sort(random.integers(0, 525_600, 42_000))
    companies = random.zipf(1.4, 42_000) % 88
    topics = random.integers(0, 20, 42_000)
    negative = random.random(42_000) < 0.25
    counts: dict[tuple[int, Series], list[int]] = defaultdict(lambda: [0, 0])
    for at, c, t, bad in zip(minutes, companies, topics, negative, strict=True):
        names = ("", ""), ("", f"C{c}"), (f"t{t}", ""), (f"t{t}", f"C{c}")
        for topic, company in names:
            cell = counts[int(at), Series(topic, company, "en")]
            cell[0] += int(bad)
            cell[1] += 1
    cells = [Cell(minute, series, n, total) for (minute, series), (n, total) in sorted(counts.items())]
    walk = Walk(DetectionSettings())
    started = time.perf_counter()
    events = [*walk.run(cells, until=525_599), *walk.settle()]
    return {
        "minutes": 525_600,
        "cells": len(cells),
        "series": len({cell.series for cell in cells}),
        "events": len(events),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Run one of the measurements and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quiet", "surges", "busy", "speed"))
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument("--series", type=int, default=300)
    parser.add_argument("--scatter", type=float, default=0.2)
    parser.add_argument("--correlation", type=float, default=0.02)
    parser.add_argument("--lift", type=float, default=5.0)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    noise = Noise(given.scatter, given.correlation)
    if given.what == "quiet":
        found = quiet(given.weeks, given.series, noise, given.seed)
    elif given.what == "surges":
        found = surges(given.lift, noise, given.seed, given.hours)
    elif given.what == "busy":
        found = busy(noise, given.seed)
    else:
        found = speed(given.seed)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
