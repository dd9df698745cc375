"""sweeps and their cells."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('sweeps',
    sa.Column('id', sa.Uuid(), server_default=sa.text('gen_random_uuid()'), nullable=False),
    sa.Column('strategy_id', sa.Uuid(), nullable=False),
    sa.Column('version_id', sa.Uuid(), nullable=False),
    sa.Column('bar_set_id', sa.Uuid(), nullable=False),
    sa.Column('settings', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('cells_total', sa.Integer(), nullable=False),
    sa.Column('best_by', sa.String(), nullable=False),
    sa.Column('best', sa.JSON(), nullable=True),
    sa.Column('job_id', sa.Uuid(), nullable=True),
    sa.Column('created_by', sa.Uuid(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['bar_set_id'], ['bar_sets.id'], name=op.f('fk_sweeps_bar_set_id_bar_sets')),
    sa.ForeignKeyConstraint(['strategy_id'], ['strategies.id'], name=op.f('fk_sweeps_strategy_id_strategies')),
    sa.ForeignKeyConstraint(['version_id'], ['strategy_versions.id'], name=op.f('fk_sweeps_version_id_strategy_versions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sweeps'))
    )
    op.create_index('ix_sweeps_listed', 'sweeps', ['created_at', 'id'], unique=False)
    op.create_table('sweep_cells',
    sa.Column('sweep_id', sa.Uuid(), nullable=False),
    sa.Column('cell', sa.Integer(), nullable=False),
    sa.Column('params', sa.JSON(), nullable=False),
    sa.Column('score', sa.Double(), nullable=True),
    sa.Column('result_id', sa.String(), nullable=True),
    sa.Column('summary', sa.JSON(), nullable=True),
    sa.Column('error', sa.JSON(), nullable=True),
    sa.ForeignKeyConstraint(['sweep_id'], ['sweeps.id'], name=op.f('fk_sweep_cells_sweep_id_sweeps')),
    sa.PrimaryKeyConstraint('sweep_id', 'cell', name=op.f('pk_sweep_cells'))
    )
    op.create_index('ix_sweep_cells_ranked', 'sweep_cells', ['sweep_id', sa.literal_column('score DESC NULLS LAST'), 'cell'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_sweep_cells_ranked', table_name='sweep_cells')
    op.drop_table('sweep_cells')
    op.drop_index('ix_sweeps_listed', table_name='sweeps')
    op.drop_table('sweeps')
