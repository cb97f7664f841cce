"""Whether a text was longer than the model reads, and what shadow models say toward companies."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE scores ADD COLUMN cut BOOLEAN DEFAULT false NOT NULL")
    op.execute("CREATE INDEX scores_cut_idx ON scores (key) WHERE cut")
    op.execute(
        "ALTER TABLE shadow_scores ADD COLUMN companies TEXT[] DEFAULT '{}' NOT NULL, "
        "ADD COLUMN company_labels TEXT[] DEFAULT '{}' NOT NULL, "
        "ADD COLUMN company_scores REAL[] DEFAULT '{}' NOT NULL"
    )


def downgrade() -> None:
    op.execute(
        "ALTER TABLE shadow_scores DROP COLUMN company_scores, DROP COLUMN company_labels, DROP COLUMN companies"
    )
    op.execute("ALTER TABLE scores DROP COLUMN cut")
