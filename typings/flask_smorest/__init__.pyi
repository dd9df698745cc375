from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import flask
import marshmallow
from apispec import APISpec

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C")

class Blueprint(flask.Blueprint):
    def __init__(
        self, name: str, import_name: str, *, url_prefix: str | None = ..., description: str = ...
    ) -> None: ...
    def route(self, rule: str, **options: Any) -> Callable[[C], C]: ...
    ARGUMENTS_PARSER: Any
    DEFAULT_LOCATION_CONTENT_TYPE_MAPPING: ClassVar[dict[str, str]]
    def arguments(
        self,
        schema: type[marshmallow.Schema] | marshmallow.Schema,
        *,
        location: str = ...,
        content_type: str | None = ...,
        required: bool = ...,
        description: str | None = ...,
        example: object = ...,
        **kwargs: Any,
    ) -> Callable[[F], F]: ...
    def response(
        self,
        status_code: int,
        schema: type[marshmallow.Schema] | marshmallow.Schema | dict[str, Any] | None = ...,
        *,
        content_type: str | None = ...,
        description: str | None = ...,
        headers: dict[str, Any] | None = ...,
    ) -> Callable[[F], F]: ...
    def alt_response(
        self,
        status_code: int,
        *,
        schema: type[marshmallow.Schema] | dict[str, Any] | None = ...,
        content_type: str | None = ...,
        description: str | None = ...,
        success: bool = ...,
    ) -> Callable[[F], F]: ...
    @staticmethod
    def doc(**kwargs: Any) -> Callable[[F], F]: ...

class Api:
    ERROR_SCHEMA: type[marshmallow.Schema]
    DEFAULT_ERROR_RESPONSE_NAME: str | None
    DEFAULT_RESPONSE_CONTENT_TYPE: str
    def _register_responses(self) -> None: ...
    spec: APISpec
    def __init__(self, app: flask.Flask | None = ..., *, spec_kwargs: dict[str, Any] | None = ...) -> None: ...
    def init_app(self, app: flask.Flask, *, spec_kwargs: dict[str, Any] | None = ...) -> None: ...
    def register_blueprint(self, blp: Blueprint, **options: Any) -> None: ...
    def handle_http_exception(self, error: Any) -> Any: ...
