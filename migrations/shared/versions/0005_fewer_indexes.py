"""what is in flight is few: deadlines and leases need no indexes of their own."""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index('ix_jobs_deadline', table_name='jobs', schema='neozork')
    op.drop_index('ix_jobs_lease', table_name='jobs', schema='neozork')


def downgrade() -> None:
    op.create_index('ix_jobs_lease', 'jobs', ['lease_until'], unique=False, schema='neozork', postgresql_where=sa.text("status = 'running'"))
    op.create_index('ix_jobs_deadline', 'jobs', ['deadline_at'], unique=False, schema='neozork', postgresql_where=sa.text("status = 'dispatched'"))
