import json
from pathlib import Path

from web.app import create_app


def test_the_openapi_document_in_docs_is_current() -> None:
    served = create_app().test_client().get("/api/v1/openapi.json").get_json()
    kept = json.loads(Path("docs/api/openapi.json").read_text(encoding="utf-8"))
    assert kept == served, "say: make openapi"
