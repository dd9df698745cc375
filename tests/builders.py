"""What tests are built from: each builder makes one real thing and says what is special."""

import io
import math
import secrets
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.identity.authentication import login
from core.identity.models import TenantUser, User
from core.identity.passwords import hash_password
from core.jobs import memory
from core.jobs.kinds import KINDS
from core.jobs.models import Job
from core.jobs.turns import set_turns
from core.plans import plan_of
from core.tenancy.models import Tenant
from core.tenancy.provisioning import provision
from core.tenancy.resolution import Signals, TenantRef, resolve
from core.tenancy.session import open_platform_session, open_session_of
from web.app import create_app
from workers.perform import perform

PASSWORD = "correct horse battery"


def a_slug(prefix: str = "firm") -> str:
    return f"{prefix}-{secrets.token_hex(4)}"


def a_tenant(*, slug: str | None = None, tier: str = "professional") -> UUID:
    """Make a provisioned, active tenant and answer its id."""
    tenant_id = uuid4()
    name = slug or a_slug()
    with open_platform_session() as session:
        session.add(Tenant(id=tenant_id, name=name, subdomain=name, subscription_tier=tier))
        set_turns(session, tenant_id, plan=plan_of(tier))
    provision(tenant_id)
    return tenant_id


def a_mail() -> str:
    return f"{secrets.token_hex(6)}@people.example.com"


def a_user(
    *, email: str | None = None, password: str | None = PASSWORD, is_operator: bool = False
) -> UUID:
    """Make a person in no tenant and answer their id; `password` None: none is set yet."""
    user_id = uuid4()
    mail = email or a_mail()
    known_hash = _hash_of(password) if password is not None else None
    with open_platform_session() as session:
        session.add(
            User(
                id=user_id,
                email=mail,
                username=mail.partition("@")[0],
                password_hash=known_hash,
                is_operator=is_operator,
            )
        )
    return user_id


def a_member(
    tenant_id: UUID,
    *,
    role: str = "user",
    email: str | None = None,
    password: str | None = PASSWORD,
    user_id: UUID | None = None,
    is_active: bool = True,
) -> UUID:
    """Make a member, of a new person unless one is named, and answer the person's id."""
    member = user_id or a_user(email=email, password=password)
    with open_platform_session() as session:
        session.add(TenantUser(tenant_id=tenant_id, user_id=member, role=role, is_active=is_active))
    return member


def a_token(tenant_id: UUID, *, role: str = "user") -> str:
    """Sign a new member of a tenant in and answer their access token."""
    mail = a_mail()
    a_member(tenant_id, role=role, email=mail)
    return login(a_ref(tenant_id), email=mail, password=PASSWORD, address=None).access_token


def a_ref(tenant_id: UUID) -> TenantRef:
    """Answer a tenant as a call knows it."""
    return resolve(Signals(path=str(tenant_id)))


@lru_cache
def _hash_of(password: str) -> str:
    return hash_password(password)


@lru_cache(maxsize=1)
def an_app() -> Flask:
    return create_app()


def a_client(tenant_id: UUID | None = None, *, role: str = "user") -> FlaskClient:
    """Answer a client of the API: a new member of a tenant, or nobody where none is named."""
    client = an_app().test_client()
    if tenant_id is not None:
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {a_token(tenant_id, role=role)}"
    return client


def do_jobs(tenant_id: UUID) -> None:
    """Do what a tenant has queued, each once, in the order in which it was asked for.

    As a worker that has just started: what tests took of this process before is no job's.
    """
    memory._held_at_first.cache_clear()
    waiting = select(Job.kind, Job.id).where(Job.tenant_id == tenant_id, Job.status == "queued")
    done: set[UUID] = set()
    while True:
        with open_session_of(tenant_id) as session:
            jobs = session.execute(waiting.order_by(Job.not_before, Job.id)).all()
        fresh = [(kind, job_id) for kind, job_id in jobs if job_id not in done]
        if not fresh:
            return
        for kind, job_id in fresh:
            perform(KINDS[kind], str(tenant_id), str(job_id))
            done.add(job_id)


def a_document(**changes: Any) -> dict[str, Any]:
    """Answer a small strategy that trades on daily bars of one symbol."""
    return {
        "spec": "strategy/1",
        "name": "cross",
        "timeframe": "1d",
        "params": {"fast_n": {"type": "int", "default": 3, "min": 2, "max": 10}},
        "inputs": {
            "fast": {"ta": "SMA", "with": {"timeperiod": "$fast_n"}},
            "slow": {"ta": "SMA", "with": {"timeperiod": 8}},
        },
        "long": {"entry": "crosses_above(fast, slow)", "exit": "crosses_below(fast, slow)"},
    } | changes


def some_bars(days: int = 120) -> bytes:
    """Answer daily bars as CSV, rising and falling in turn, so that averages cross."""
    lines = ["date,open,high,low,close,volume"]
    day = date(2020, 1, 1)
    for number in range(days):
        price = 100 + 10 * math.sin(number / 5)
        lines.append(f"{day},{price:.4f},{price + 1:.4f},{price - 1:.4f},{price:.4f},1000")
        day += timedelta(days=1)
    return "\n".join(lines).encode()


def upload_form(content: bytes | None = None, **form: Any) -> dict[str, Any]:
    """Answer the multipart form of an upload, to send as `data`."""
    file = (io.BytesIO(some_bars() if content is None else content), "bars.csv")
    return {"symbol": "TEST", "timeframe": "1d", "file": file} | form


def some_data(client: FlaskClient, tenant_id: UUID, content: bytes | None = None) -> str:
    """Upload bars, import them, and answer the bar set's id."""
    asked = client.post("/api/v1/trading/data/", data=upload_form(content))
    assert asked.status_code == 202, asked.text
    do_jobs(tenant_id)
    return str(asked.json["id"])


def a_strategy(client: FlaskClient, **changes: Any) -> str:
    """Create a strategy and answer its id."""
    body = {"name": "cross", "document": a_document(**changes)}
    made = client.post("/api/v1/trading/strategies/", json=body)
    assert made.status_code == 201, made.text
    return str(made.json["id"])


def a_backtest(client: FlaskClient, tenant_id: UUID, **body: Any) -> str:
    """Run a backtest to its end and answer its id; `body` may name strategy, data and settings."""
    asked = {"costs": {"commission_bps": 10}} | body
    if "data_id" not in asked:
        asked["data_id"] = some_data(client, tenant_id)
    if "strategy_id" not in asked:
        asked["strategy_id"] = a_strategy(client)
    answer = client.post("/api/v1/trading/backtesting/", json=asked)
    assert answer.status_code == 202, answer.text
    do_jobs(tenant_id)
    return str(answer.json["id"])
