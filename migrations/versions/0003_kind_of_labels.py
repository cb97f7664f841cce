"""Labels keep the kind of their document, as they keep its text."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE labels ADD COLUMN kind TEXT")
    op.execute(
        "UPDATE labels SET kind = documents.kind FROM documents "
        "WHERE documents.key = labels.key AND documents.published_at = labels.published_at"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE labels DROP COLUMN kind")
