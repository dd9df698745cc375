"""`python -m submit_one TENANT`: ask for one job, and print its id once it is committed."""

import sys
from uuid import UUID

from fault_kinds import EFFECT

from core.jobs import submit
from core.tenancy.session import open_session

with open_session(UUID(sys.argv[1])) as session:
    job = submit.submit_job(session, kind=EFFECT, args={})
sys.stdout.write(f"{job}\n")
