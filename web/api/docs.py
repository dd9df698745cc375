"""The documentation page: Swagger UI over our own OpenAPI document, with no request elsewhere."""

import json
from importlib.resources import files
from pathlib import Path

from flask import Response, send_from_directory
from flask.views import MethodView

from core.trading.strategy.schema import json_schema
from web.api.reading import Blueprint
from web.api.security import PUBLIC, requires

blueprint = Blueprint("docs", __name__, description="What the API is.")
_ASSETS = {
    "swagger-ui.css": "css/swagger-ui.css",
    "swagger-ui-bundle.js": "js/swagger-ui-bundle.js",
}
_FOLDER = Path(str(files("flask_openapi3_swagger") / "templates" / "swagger"))
_KEPT_S = 86_400
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>NeoZork API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/page.js"></script>
</html>
"""
_SCRIPT = """SwaggerUIBundle({
  dom_id: "#docs", url: "openapi.json", deepLinking: true, docExpansion: "list",
  defaultModelsExpandDepth: 0, persistAuthorization: false, validatorUrl: null,
});
"""
# Swagger UI writes styles into its elements and draws its icons from data: addresses.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'none'; frame-ancestors 'none'"
)


@blueprint.route("/docs")
class Docs(MethodView):
    """The page."""

    @requires(PUBLIC)
    @blueprint.response(200, {"type": "string"}, content_type="text/html")
    def get(self) -> Response:
        """Show the API to people."""
        headers = {"Content-Security-Policy": _POLICY}
        return Response(_PAGE, content_type="text/html; charset=utf-8", headers=headers)


@blueprint.route("/docs/<any('page.js', 'swagger-ui.css', 'swagger-ui-bundle.js'):name>")
class DocsFile(MethodView):
    """What the page loads."""

    @requires(PUBLIC)
    @blueprint.response(200, {"type": "string"}, content_type="text/javascript")
    def get(self, name: str) -> Response:
        """Answer a file of the page."""
        if name == "page.js":
            return Response(_SCRIPT, content_type="text/javascript; charset=utf-8")
        return send_from_directory(_FOLDER, _ASSETS[name], max_age=_KEPT_S)


@blueprint.route("/schemas/strategy-1.json")
class StrategySchema(MethodView):
    """The schema of strategy documents."""

    @requires(PUBLIC)
    @blueprint.response(200, {"type": "object"}, content_type="application/schema+json")
    def get(self) -> Response:
        """Answer the JSON Schema of `strategy/1`."""
        return Response(json.dumps(json_schema()), content_type="application/schema+json")
