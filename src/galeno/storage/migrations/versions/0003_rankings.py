"""Rankings of rare diseases, and what clinicians said of them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; what is there stays."""
    op.create_table(
        "rankings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("face", sa.Text(), nullable=False),
        sa.Column("disease", sa.Text(), nullable=False),
        sa.Column("probability", sa.Float(53), nullable=False),
        sa.Column("absent", sa.Float(53), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("latency_ms", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rankings"),
    )
    op.create_index("ix_rankings_patient", "rankings", ["patient"])
    op.create_table(
        "ranking_feedback",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ranking", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=True),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("disease", sa.Text(), nullable=True),
        sa.Column("comment", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_ranking_feedback"),
    )
    op.create_index("ix_ranking_feedback_ranking", "ranking_feedback", ["ranking"])
    op.create_index("ix_ranking_feedback_patient", "ranking_feedback", ["patient"])
