"""What models in shadow mode said: stored beside the scores, in the same transaction, harming nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from monitor.documents import ShadowScore
from monitor.store.database import is_passing

log = logging.getLogger(__name__)


def insert_shadow_scores(connection: Connection, shadows: Sequence[ShadowScore], new: Collection[UUID]) -> None:
    """Insert the shadow scores of documents that are new.

    It happens in a savepoint: whatever is wrong with them, the batch goes on without. Only a server that goes away
    raises, as it would for every other statement of the batch.
    """
    keys = set(new)
    rows = [
        {
            "published_at": score.published_at.isoformat(),
            "key": str(score.key),
            "model": score.model,
            "label": score.sentiment.label,
            "negative": score.sentiment.negative,
            "neutral": score.sentiment.neutral,
            "positive": score.sentiment.positive,
            "topics": [topic.id for topic in score.topics],
            "topic_probabilities": [topic.probability for topic in score.topics],
            "companies": [company for company, _ in score.toward],
            "company_labels": [sentiment.label for _, sentiment in score.toward],
            "company_scores": [sentiment.score for _, sentiment in score.toward],
        }
        for score in shadows
        if score.key in keys
    ]
    if not rows:
        return
    columns = (
        "published_at, key, model, label, negative, neutral, positive, topics, topic_probabilities, companies, "
        "company_labels, company_scores"
    )
    savepoint = connection.begin_nested()
    try:
        connection.execute(
            text(
                f"INSERT INTO shadow_scores ({columns}) SELECT {columns} FROM jsonb_to_recordset(cast(:rows AS jsonb)) "
                "AS r (published_at timestamptz, key uuid, model text, label text, negative real, neutral real, "
                "positive real, topics text[], topic_probabilities real[], companies text[], company_labels text[], "
                "company_scores real[]) ON CONFLICT DO NOTHING"
            ),
            {"rows": json.dumps(rows)},
        )
        savepoint.commit()
    except DBAPIError as error:
        if is_passing(error):
            raise
        savepoint.rollback()
        log.warning("shadow scores of a batch are not kept: %s", str(error.orig).strip().splitlines()[0])
