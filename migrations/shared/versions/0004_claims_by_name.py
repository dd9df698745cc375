"""claims have a name, so that a worker whose answer got lost knows its own again."""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('jobs', sa.Column('claimed_as', sa.Uuid(), nullable=True), schema='neozork')


def downgrade() -> None:
    op.drop_column('jobs', 'claimed_as', schema='neozork')
