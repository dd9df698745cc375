"""What the OpenAPI document must be; the routes must keep to it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from core.identity.roles import HOLDERS
from tests.builders import a_client, an_app
from web.api.security import PUBLIC, permission_of
from web.app import TENANT_PREFIX

pytestmark = pytest.mark.usefixtures("database")
# The document itself; everything else says who may call it.
UNDECLARED = {"api-docs.openapi_json"}


def document() -> dict[str, Any]:
    return a_client().get("/api/v1/openapi.json").json


def views() -> Iterator[tuple[str, str, Any]]:
    """Yield each route's rule, method and view method."""
    for rule in an_app().url_map.iter_rules():
        if rule.endpoint in UNDECLARED:
            continue
        view = an_app().view_functions[rule.endpoint].view_class
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield rule.rule, method.lower(), getattr(view, method.lower())


def path_of(rule: str) -> str:
    prefix = TENANT_PREFIX.removesuffix("/tenants/<tenant>")
    with_tenant = rule.replace(prefix, TENANT_PREFIX, 1)
    known = document_paths()
    for candidate in (rule, with_tenant):
        path = re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", candidate)
        if path in known:
            return path
    raise AssertionError(f"{rule} is not in the OpenAPI document")


def document_paths() -> dict[str, Any]:
    return document()["paths"]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document_paths().items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


def test_every_route_declares_a_permission_that_somebody_holds() -> None:
    seen = list(views())
    assert len(seen) > 40
    for rule, method, view in seen:
        permission = permission_of(view)
        assert permission is not None, f"{method} {rule} declares no permission"
        assert permission == PUBLIC or permission in HOLDERS, f"{method} {rule}: {permission}"


def test_a_route_that_forgot_its_permission_is_found() -> None:
    assert permission_of(lambda: None) is None


def test_every_route_is_documented_with_its_permission() -> None:
    paths = document_paths()
    for rule, method, view in views():
        operation = paths[path_of(rule)][method]
        assert operation.get("operationId") or operation.get("summary"), f"{method} {rule}"
        permission = permission_of(view)
        if permission == PUBLIC:
            assert "security" not in operation, f"{method} {rule}"
        else:
            assert operation["security"] == [{"bearer": []}], f"{method} {rule}"
            assert operation["x-permission"] == permission


def test_the_document_is_openapi_3_1() -> None:
    whole = document()
    assert whole["openapi"] == "3.1.0"
    assert {"title", "version"} <= whole["info"].keys()
    schemas = whole["components"]["schemas"]
    assert len(schemas) > 20
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        assert re.fullmatch(r"[a-zA-Z0-9._-]+", name)


def test_every_operation_is_complete() -> None:
    for path, method, operation in operations():
        where = f"{method} {path}"
        assert operation["responses"], where
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d|default", status), where
            assert "$ref" in response or response["description"], where
        shared = document_paths()[path].get("parameters", [])
        parameters = [*shared, *operation.get("parameters", [])]
        in_path = {p["name"] for p in parameters if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), where
        assert all(p["required"] for p in parameters if p["in"] == "path"), where
        for parameter in parameters:
            assert parameter["in"] in {"path", "query", "header"}, where
            Draft202012Validator.check_schema(parameter["schema"])


def test_every_reference_resolves() -> None:
    whole = document()

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for inner in node.values():
                yield from walk(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from walk(inner)

    references = set(walk(whole))
    assert references
    for reference in references:
        found: Any = whole
        for key in reference.removeprefix("#/").split("/"):
            assert key in found, reference
            found = found[key]


def test_an_upload_is_documented_as_one_form_with_its_file() -> None:
    post = document_paths()["/api/v1/tenants/{tenant}/trading/data/"]["post"]
    assert post["requestBody"]["content"].keys() == {"multipart/form-data"}
    form = document()["components"]["schemas"]["UploadForm"]
    assert form["properties"]["file"]["format"] == "binary"
    assert {"file", "symbol", "timeframe"} == set(form["required"])


def test_creating_routes_document_their_idempotency_key() -> None:
    keyed = {
        path.rpartition("{tenant}")[2]
        for path, _, operation in operations()
        if any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", []))
    }
    created = ("strategies", "data", "backtesting", "sweeps")
    assert keyed == {f"/trading/{kind}/" for kind in created}


def test_every_error_is_documented_as_a_problem() -> None:
    for path, method, operation in operations():
        assert operation["responses"]["default"]["$ref"].endswith("DEFAULT_ERROR"), (
            f"{method} {path}"
        )
    content = document()["components"]["responses"]["DEFAULT_ERROR"]["content"]
    assert "application/problem+json" in content
