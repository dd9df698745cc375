import re

import pytest
from jsonschema import Draft202012Validator

from tests.builders import a_client, a_document

pytestmark = pytest.mark.usefixtures("database")


def test_the_page_asks_nobody_but_us() -> None:
    page = a_client().get("/api/v1/docs")
    assert page.content_type == "text/html; charset=utf-8"
    assert not re.search(r"https?://", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        with a_client().get(f"/api/v1/{name}") as file:
            assert file.status_code == 200
            assert len(file.data) > 100


@pytest.mark.parametrize("name", ["../../app.py", "swagger-ui.html", "%2e%2e/x", "page.js/x"])
def test_no_other_file_is_served(name: str) -> None:
    assert a_client().get(f"/api/v1/docs/{name}").status_code == 404


def test_the_schema_of_strategies_is_published_and_holds() -> None:
    answer = a_client().get("/api/v1/schemas/strategy-1.json")
    assert answer.content_type == "application/schema+json"
    Draft202012Validator.check_schema(answer.get_json(force=True))
    validator = Draft202012Validator(answer.get_json(force=True))
    assert validator.is_valid(a_document())
    assert not validator.is_valid(a_document(colour="red"))
