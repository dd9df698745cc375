"""scripts that bring schemas to a head, and indexes under what the ticks ask for."""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('tenant_upgrades',
    sa.Column('head', sa.String(), nullable=False),
    sa.Column('from_revision', sa.String(), nullable=False),
    sa.Column('script', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('head', 'from_revision', name=op.f('pk_tenant_upgrades')),
    schema='neozork'
    )
    op.create_index(op.f('ix_tenant_schemas_revision'), 'tenant_schemas', ['revision'], unique=False, schema='neozork')
    op.create_index('ix_tenants_trial', 'tenants', ['trial_ends_at'], unique=False, schema='neozork', postgresql_where=sa.text("status = 'trialing'"))


def downgrade() -> None:
    op.drop_index('ix_tenants_trial', table_name='tenants', schema='neozork', postgresql_where=sa.text("status = 'trialing'"))
    op.drop_index(op.f('ix_tenant_schemas_revision'), table_name='tenant_schemas', schema='neozork')
    op.drop_table('tenant_upgrades', schema='neozork')
