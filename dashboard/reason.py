"""Why an alert was raised, in the reader's language.

English readers see the sentences that were stored and sent. For others the same is said again from the alert's numbers
and evidence; only headlines stay as they were written.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from dashboard.context import View, moment
from monitor.alerts import numerals
from monitor.store.queries.alerts import Alert


def reason(view: View, alert: Alert) -> str:
    """The sentences; as they were stored where the evidence lacks what they are made of."""
    if view.lang == "en":
        return alert.reason
    t, evidence = view.t, alert.evidence
    try:
        end = datetime.fromisoformat(evidence["window"]["end"])
        share, expected_share = evidence["share"], evidence["expected_share"]
        stories, told, sources = evidence["stories_total"], evidence["stories"], evidence["sources_total"]
        foremost = told[0]["headline"] if told else ""
    except (KeyError, TypeError, ValueError):
        return alert.reason
    compared = ""
    if share is not None and expected_share is not None:
        compared = t("why_share", share=numerals.percent(share), expected=numerals.percent(expected_share))
    p_value = numerals.probability(alert.p_value)
    told_p = bounded(view, p_value)
    about = t("why_about", what=view.series(alert.series)) if alert.series.topic or alert.series.company else ""
    said = t(
        "why_counts",
        end=moment(end),
        window=view.span(timedelta(minutes=alert.window_minutes)),
        about=about,
        language=view.language(alert.series.lang),
        total=alert.total,
        observed=alert.observed,
        expected=bounded(view, numerals.count(alert.expected)),
        lift=times_expected(view, alert),
        p=f"= {p_value}" if told_p == p_value else told_p,
        share=compared,
    )
    if foremost:
        said += t("why_stories", stories=stories, sources=sources, headline=foremost)
    return said


def times_expected(view: View, alert: Alert) -> str:
    """How many times the expected was observed; a dash where nothing was expected."""
    return bounded(view, numerals.lift(alert.observed / alert.expected)) if alert.expected > 0 else "–"


def bounded(view: View, number: str) -> str:
    """A number of `numerals`, whose bounds are in English words, in the reader's.

    >>> from dashboard.names import Names
    >>> from dashboard.words import translator
    >>> bounded(View("zh", translator("zh"), Names({}, {})), "under 0.01")
    '低于 0.01'
    """
    for bound in ("under", "over"):
        if number.startswith(bound + " "):
            return view.t(bound, n=number.removeprefix(bound + " "))
    return number
