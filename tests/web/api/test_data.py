import io
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core.jobs.models import Job
from core.plans import plan_of
from core.storage.installed import installed_store
from core.tenancy.session import open_session
from tests.builders import a_client, a_tenant, do_jobs, some_bars, some_data, upload_form
from web.api.spooling import Spool

pytestmark = pytest.mark.usefixtures("database")
DATA = "/api/v1/trading/data/"
STARTER_MB = plan_of("starter").upload_mb


@pytest.fixture(scope="module")
def tenant(database: str) -> UUID:
    del database
    return a_tenant(tier="starter")


@pytest.fixture(scope="module")
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


def left_behind(tenant: UUID) -> tuple[int, int]:
    """Answer how many jobs and uploaded files a tenant has."""
    with open_session(tenant) as session:
        jobs = session.scalar(select(func.count()).select_from(Job)) or 0
    return jobs, installed_store().usage(f"{tenant}/uploads/").count


def imported(client: FlaskClient, tenant: UUID, content: bytes, **form: Any) -> Any:
    """Upload a file, do its job, and answer the bar set."""
    asked = client.post(DATA, data=upload_form(content, **form))
    assert asked.status_code == 202, asked.text
    do_jobs(tenant)
    return client.get(DATA + asked.json["id"]).json


def test_an_upload_is_taken_read_by_its_job_and_certified(
    tenant: UUID, client: FlaskClient
) -> None:
    asked = client.post(DATA, data=upload_form(name="mine", lot="1"))
    assert asked.status_code == 202
    assert asked.json.keys() == {"id", "job_id", "status"}
    assert asked.headers["Location"] == f"/api/v1/jobs/{asked.json['job_id']}"
    before = client.get(DATA + asked.json["id"]).json
    assert (before["status"], before["rows"], before["certificate"]) == ("queued", None, None)
    do_jobs(tenant)
    bars = client.get(DATA + asked.json["id"]).json
    assert (bars["status"], bars["rows"], bars["name"], bars["lot"]) == (
        "succeeded",
        120,
        "mine",
        1,
    )
    assert (bars["first"], bars["last"]) == ("2020-01-01", "2020-04-29")
    assert len(bars["data_hash"]) == 64
    listed = client.get(DATA).json["items"][0]
    assert listed.items() <= bars.items()


def a_form(*, closed: bool = True) -> bytes:
    fields = {"symbol": "A", "timeframe": "1d", 'file"; filename="a.csv': some_bars().decode()}
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return ("".join(parts) + "--b--\r\n" * closed).encode()


@pytest.mark.parametrize(
    ("body", "missing", "says"),
    [
        (a_form(closed=False), 0, "its end did not come"),
        (a_form(closed=False), 7, f"{len(a_form()) - 7} of {len(a_form())} bytes came"),
        (a_form()[:-2], 2, f"{len(a_form()) - 2} of {len(a_form())} bytes came"),
        (a_form()[:100], len(a_form()) - 100, f"100 of {len(a_form())} bytes came"),
        (b"", len(a_form()), f"0 of {len(a_form())} bytes came"),
    ],
)
# gunicorn ends a short body as if it were whole, werkzeug's own stream raises.
@pytest.mark.parametrize("terminated", [True, False])
def test_an_upload_that_ends_early_is_told_so_and_nothing_is_kept(
    tenant: UUID, body: bytes, missing: int, says: str, *, terminated: bool
) -> None:
    before = left_behind(tenant)
    answer = send(tenant, body, len(body) + missing, terminated=terminated)
    assert (answer.status_code, answer.json["code"]) == (400, "incomplete_upload")
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == 400
    assert says in answer.json["detail"]
    assert left_behind(tenant) == before


def test_the_same_form_is_taken_when_all_of_it_came(tenant: UUID) -> None:
    assert send(tenant, a_form(), len(a_form())).status_code == 202
    do_jobs(tenant)


def send(tenant: UUID, body: bytes, length: int, *, terminated: bool = True) -> Any:
    """Send a form that says to be of this length, over a stream that ends with the body."""
    return a_client(tenant).post(
        DATA,
        input_stream=io.BytesIO(body),
        content_type="multipart/form-data; boundary=b",
        environ_overrides={"CONTENT_LENGTH": str(length)}
        | ({"wsgi.input_terminated": True} if terminated else {}),
    )


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({"symbol": ""}, "/symbol"),
        ({"symbol": "x" * 33}, "/symbol"),
        ({"symbol": "A\tB"}, "/symbol"),
        ({"symbol": "A\0"}, "/symbol"),
        ({"timeframe": "2d"}, "/timeframe"),
        ({"timeframe": ""}, "/timeframe"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"timezone": "../../etc/passwd"}, "/timezone"),
        ({"timezone": "x" * 3_000}, "/timezone"),
        ({"timezone": "a\0"}, "/timezone"),
        ({"stamp": "middle"}, "/stamp"),
        ({"lot": "x"}, "/lot"),
        ({"lot": "nan"}, "/lot"),
        ({"lot": "1e999"}, "/lot"),
        ({"lot": "-1"}, "/lot"),
        ({"lot": "-inf"}, "/lot"),
        ({"name": ""}, "/name"),
        ({"name": "n" * 201}, "/name"),
        ({"name": "a\0b"}, "/name"),
        ({"colour": "red"}, "/colour"),
        ({"file": "no file but a text"}, "/file"),
        ({"file": (io.BytesIO(b""), "empty.csv")}, "/file"),
        ({"file": (io.BytesIO(b"x"), "a\0b.csv")}, "/file"),
        ({"file": (io.BytesIO(b"x"), "n" * 5_000)}, "/file"),
        ({"another": (io.BytesIO(b"x"), "b.csv")}, "/another"),
    ],
)
def test_a_form_that_is_wrong_is_422_and_leaves_nothing(
    tenant: UUID, client: FlaskClient, form: dict[str, Any], pointer: str
) -> None:
    before = left_behind(tenant)
    answer = client.post(DATA, data=upload_form() | form)
    assert answer.status_code == 422, answer.text
    assert [fault["path"] for fault in answer.json["errors"]] == [pointer]
    assert left_behind(tenant) == before


def test_every_fault_of_a_form_is_named_at_once(client: FlaskClient) -> None:
    answer = client.post(DATA, data=upload_form(b"", symbol="", timeframe="x", stamp="x"))
    paths = {fault["path"] for fault in answer.json["errors"]}
    assert paths == {"/file", "/symbol", "/timeframe", "/stamp"}


@pytest.mark.parametrize("missing", ["file", "symbol", "timeframe"])
def test_what_is_missing_is_named(client: FlaskClient, missing: str) -> None:
    form = upload_form()
    del form[missing]
    answer = client.post(DATA, data=form, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert [(f["path"], f["code"]) for f in answer.json["errors"]] == [(f"/{missing}", "required")]


def test_a_body_that_is_no_form_is_422(client: FlaskClient) -> None:
    for body, content_type in (
        (b"{}", "application/json"),
        (b"--x\r\nnonsense\r\n\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
    ):
        answer = client.post(DATA, data=body, content_type=content_type)
        assert answer.status_code == 422, answer.text


def test_an_upload_over_the_plans_limit_is_413_before_it_is_read(
    tenant: UUID, client: FlaskClient
) -> None:
    before = left_behind(tenant)
    size = STARTER_MB * 1_000_000 + 200_000
    answer = client.post(
        DATA,
        content_type="multipart/form-data; boundary=b",
        environ_overrides={"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": str(size)},
    )
    assert answer.status_code == 413
    assert (answer.json["code"], answer.json["limit_mb"]) == ("too_large", STARTER_MB)
    assert left_behind(tenant) == before


def test_a_file_just_over_the_plans_limit_is_413(tenant: UUID, client: FlaskClient) -> None:
    before = left_behind(tenant)
    parts = [HEAD, b"x" * (STARTER_MB * 1_000_000 + 1)]
    for name, value in (("symbol", "X"), ("timeframe", "1d")):
        head = f'\r\n--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
        parts.append(head.encode())
    body = b"".join([*parts, b"\r\n--b--\r\n"])
    answer = client.post(DATA, data=body, content_type="multipart/form-data; boundary=b")
    assert (answer.status_code, answer.json["limit_mb"]) == (413, STARTER_MB)
    assert left_behind(tenant) == before


def test_a_body_without_a_length_is_read_no_further_than_the_limit(client: FlaskClient) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            head = b"" if self.given else HEAD
            part = head.ljust(len(buffer), b"x")
            buffer[:] = part
            self.given += len(part)
            return len(part)

    stream = Endless()
    answer = client.post(
        DATA,
        content_type="multipart/form-data; boundary=b",
        environ_overrides={"wsgi.input": stream, "wsgi.input_terminated": True},
    )
    assert answer.status_code == 413
    assert answer.json["limit_bytes"] <= STARTER_MB * 1_000_000 + 200_000
    assert stream.given < STARTER_MB * 1_000_000 + 1_000_000


HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'


def test_a_spool_is_gone_with_its_request(client: FlaskClient, monkeypatch: Any) -> None:
    made: list[Spool] = []

    class Watched(Spool):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("web.api.spooling.Spool", Watched)
    client.post(DATA, data=upload_form())
    cut = HEAD + b"2020-01-01,1,1,1,1,1\n"
    client.post(DATA, data=cut, content_type="multipart/form-data; boundary=b")
    assert len(made) == 2
    assert not any(spool.path.exists() for spool in made)


@pytest.mark.parametrize(
    "content",
    [
        b"date,open,high,low,close\n2020-01-01,1,2,3,4\n",
        b"nonsense\n1\n2\n",
        b"\xff\xfe\x00\x01" * 50,
        b"date,open,high,low,close,volume\n",
        b"PAR1" + b"\0" * 40 + b"PAR1",
    ],
)
def test_a_file_that_cannot_be_read_ends_as_a_failed_job_that_says_why(
    tenant: UUID, client: FlaskClient, content: bytes
) -> None:
    bars = imported(client, tenant, content)
    assert (bars["status"], bars["rows"]) == ("failed", None)
    assert bars["error"]["errors"]
    assert all(fault["message"] for fault in bars["error"]["errors"])
    job = client.get(f"/api/v1/jobs/{bars['job_id']}").json
    assert (job["status"], job["error"]) == ("failed", bars["error"])
    assert (job["attempt"], job["error"]["code"]) == (1, bars["error"]["code"])


def test_a_decompression_bomb_is_refused_and_named(tenant: UUID, client: FlaskClient) -> None:
    column = pa.array([0.0] * 12_000_000)
    table = pa.table(dict.fromkeys(("open", "high", "low", "close", "volume"), column))
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    bomb = file.getvalue()
    assert len(bomb) < 1_000_000
    bars = imported(client, tenant, bomb)
    assert bars["status"] == "failed"
    assert bars["error"]["errors"]


def test_what_is_not_there_is_404(client: FlaskClient) -> None:
    answer = client.get(f"{DATA}00000000-0000-4000-8000-000000000000")
    assert (answer.status_code, answer.json["code"]) == (404, "data_not_found")


def test_the_same_bars_have_the_same_hash(tenant: UUID, client: FlaskClient) -> None:
    first, second = (some_data(client, tenant, some_bars(50)) for _ in range(2))
    assert first != second
    hashes = {client.get(DATA + data_id).json["data_hash"] for data_id in (first, second)}
    assert len(hashes) == 1
