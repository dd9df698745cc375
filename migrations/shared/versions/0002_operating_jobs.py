"""what operating the jobs needs: parts, pauses, heartbeats, and tables that vacuum keeps small."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

UNFINISHED = "parent_id IS NOT NULL AND status IN ('queued', 'dispatched', 'waiting', 'running')"


def upgrade() -> None:
    op.add_column('jobs', sa.Column('parts', sa.Integer(), nullable=True), schema='neozork')
    op.create_index('ix_jobs_unfinished_parts', 'jobs', ['parent_id'], unique=False, schema='neozork', postgresql_where=sa.text(UNFINISHED))
    op.create_index('ix_jobs_parts', 'jobs', ['parent_id'], unique=False, schema='neozork', postgresql_where=sa.text('parent_id IS NOT NULL'))
    op.create_index('ix_jobs_ended', 'jobs', ['finished_at'], unique=False, schema='neozork', postgresql_where=sa.text('finished_at IS NOT NULL'))
    op.add_column('turns', sa.Column('paused', sa.Boolean(), server_default=sa.text('false'), nullable=False), schema='neozork')
    op.create_table('paused_queues',
    sa.Column('queue', sa.String(), nullable=False),
    sa.Column('paused_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('queue', name=op.f('pk_paused_queues')),
    schema='neozork'
    )
    op.create_table('heartbeats',
    sa.Column('id', sa.Uuid(), server_default=sa.text('gen_random_uuid()'), nullable=False),
    sa.Column('program', sa.String(), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_heartbeats')),
    schema='neozork'
    )
    # A job's row is written five times and then never: a fiftieth of a big table is too much
    # to leave dead. Turns, units and heartbeats are few and written without end.
    op.execute("ALTER TABLE neozork.jobs SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)")
    for table in ('turns', 'job_units', 'heartbeats'):
        op.execute(f"ALTER TABLE neozork.{table} SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 200)")


def downgrade() -> None:
    for table in ('turns', 'job_units', 'jobs'):
        op.execute(f"ALTER TABLE neozork.{table} RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_analyze_scale_factor, autovacuum_vacuum_cost_delay)")
    op.drop_table('heartbeats', schema='neozork')
    op.drop_table('paused_queues', schema='neozork')
    op.drop_column('turns', 'paused', schema='neozork')
    op.drop_index('ix_jobs_ended', table_name='jobs', schema='neozork')
    op.drop_index('ix_jobs_parts', table_name='jobs', schema='neozork')
    op.drop_index('ix_jobs_unfinished_parts', table_name='jobs', schema='neozork')
    op.drop_column('jobs', 'parts', schema='neozork')
