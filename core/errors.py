"""Every error that NeoZork raises on purpose; a caller may catch a branch or the whole tree.

NeozorkError
├── InvalidInputError        what was sent is wrong, and `errors` says where
├── UnauthenticatedError     nobody, or nobody we know
├── ForbiddenError           somebody, without the permission
├── NotFoundError            not there, or not yours: we never say which
├── ConflictError            right in itself, impossible in this state
├── QuotaExceededError       the plan's limit on things is reached
├── ThrottledError           too often; `retry_after_s` says when again
├── TooLargeError            more bytes than the plan or the route takes
├── UnavailableError         a service that we need does not answer now
└── ConfigurationError       this installation is set up wrong; for operators

The subclasses that a feature needs live in that feature. No HTTP status stands here:
`web.api.problems` maps each branch to one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

_FAULTS_TOLD = 100
_LONGEST_PATH = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input.

    `path` is a JSON pointer into it (`/long/entry`, `/row/17`, or `` for the whole), `code` a
    stable name, `hint` what to do about it, `at` the character offset in an expression.
    """

    path: str
    code: str
    message: str
    hint: str = ""
    at: int | None = None

    def as_document(self) -> dict[str, Any]:
        """Answer the fault as it is published: path, code, message, hint, at.

        A path that names what was sent ends in … where it would be very long.
        """
        long = len(self.path) > _LONGEST_PATH
        return {
            "path": f"{self.path[:_LONGEST_PATH]}…" if long else self.path,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "at": self.at,
        }


class NeozorkError(Exception):
    """The root: a stable `code`, a `title` for the kind, a `detail` that says what to do.

    `retry_after_s`: when the same call may do, where that is known.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[Fault] = (),
        retry_after_s: int | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.instance_code = code or self.code
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
        self.more: Mapping[str, Any] = more

    def problem(self) -> dict[str, Any]:
        """Answer the RFC 9457 problem document without its HTTP status.

        Keys: type, title, code, detail, `errors` where there are any, the first hundred, and the
        error's own.
        """
        document: dict[str, Any] = {
            "type": f"urn:neozork:problem:{self.instance_code}",
            "title": self.title,
            "code": self.instance_code,
            "detail": self.detail,
            **self.more,
        }
        if self.errors:
            document["errors"] = [fault.as_document() for fault in self.errors[:_FAULTS_TOLD]]
        return document


class InvalidInputError(NeozorkError):
    """Raised when what was sent is wrong; `errors` lists every fault found, not only the first."""

    code = "invalid_input"
    title = "The input is not valid"


class UnauthenticatedError(NeozorkError):
    """Raised when no valid credential came with the call."""

    code = "unauthenticated"
    title = "Sign in first"


class ForbiddenError(NeozorkError):
    """Raised when the caller is known and lacks the permission."""

    code = "forbidden"
    title = "You may not do this"


class NotFoundError(NeozorkError):
    """Raised when a thing does not exist for this caller."""

    code = "not_found"
    title = "Not found"


class ConflictError(NeozorkError):
    """Raised when the state of things does not allow what was asked."""

    code = "conflict"
    title = "This cannot be done now"


class QuotaExceededError(NeozorkError):
    """Raised when the tenant's plan does not allow one more."""

    code = "quota_exceeded"
    title = "The plan's limit is reached"


class ThrottledError(NeozorkError):
    """Raised when something was tried too often; `retry_after_s` says when to try again."""

    code = "throttled"
    title = "Too many attempts"

    def __init__(self, detail: str, *, retry_after_s: int, **more: Any) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **more)


class TooLargeError(NeozorkError):
    """Raised when an upload is larger than the plan or the route takes."""

    code = "too_large"
    title = "Too large"


class UnavailableError(NeozorkError):
    """Raised when a service that the call needs does not answer now; trying again is right."""

    code = "unavailable"
    title = "Not available right now"


class ConfigurationError(NeozorkError):
    """Raised when this installation is set up wrong; the detail tells the operator what to set."""

    code = "misconfigured"
    title = "The installation is not set up"
