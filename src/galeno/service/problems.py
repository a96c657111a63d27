"""Errors as problems of RFC 9457: what was wrong, where, what to do; no value, no stack trace."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from galeno.errors import (
    AccessError,
    AuditError,
    BusyError,
    ConflictError,
    ConsentError,
    GalenoError,
    IdentityError,
    InputError,
    JournalError,
    MediaTypeError,
    NotFoundError,
    PackageError,
    RegistryError,
    TooLongError,
    TooManyRequestsError,
    TooSlowError,
)
from galeno.service.face import faults_of

MEDIA_TYPE = "application/problem+json"
STATUS: tuple[tuple[type[GalenoError], int, str], ...] = (
    (TooSlowError, 408, "Too slow"),
    (TooLongError, 413, "Too long"),
    (MediaTypeError, 415, "Media type not taken"),
    (InputError, 422, "Not valid"),
    (IdentityError, 401, "Who are you?"),
    (ConsentError, 403, "No consent"),
    (AccessError, 403, "Not allowed"),
    (NotFoundError, 404, "Not found"),
    (ConflictError, 409, "Conflict"),
    (RegistryError, 409, "Conflict"),
    (PackageError, 409, "Conflict"),
    (TooManyRequestsError, 429, "Too many requests"),
    (BusyError, 503, "Not now"),
    (JournalError, 503, "Not now"),
    (AuditError, 503, "Not now"),
)
"""First match counts; any other error of Galeno's is a 500 that names its kind."""
FAULT: Mapping[str, Any] = {
    "type": "about:blank",
    "title": "Fault in the service",
    "status": 500,
    "detail": "this is a fault in Galeno; the log of the service says more",
}
"""The problem of an error that nobody expected."""
FAULT_PAGE = "galeno.fault_page"
"""In the scope of a request for a page: the response that is given instead."""
RETRY_AFTER = 2
"""Seconds after which to try again when the journal does not answer."""

_log = logging.getLogger("galeno.service")


def status_of(error: GalenoError) -> tuple[int, str]:
    """HTTP status and title of an error."""
    return next(
        ((status, title) for kind, status, title in STATUS if isinstance(error, kind)),
        (500, "Fault in the service"),
    )


def problem_of(error: GalenoError) -> dict[str, Any]:
    """An error as a problem; what is told as a fault of the service goes to the log."""
    status, title = status_of(error)
    detail = ". ".join(part for part in (error.what, error.remedy) if part)
    problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if isinstance(error, InputError):
        problem["errors"] = [{"field": field, "detail": fault} for field, fault in error.faults]
    if status == 500:
        # what of the inside went wrong is for the log; paths are nobody's business outside
        problem["detail"] = f"{type(error).__name__}; the log of the service says more"
        _log.error("%s: %s", type(error).__name__, error)
    return problem


def headers_of(error: GalenoError) -> dict[str, str]:
    """Headers that go with a problem."""
    status, _ = status_of(error)
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, BusyError):
        return {"Retry-After": str(error.retry_after)}
    return {"Retry-After": str(RETRY_AFTER)} if status == 503 else {}


def respond(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A problem as a response."""
    return Response(
        to_json(problem), status_code=problem["status"], media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


async def _of_galeno(_: Request, error: Exception) -> Response:
    if not isinstance(error, GalenoError):
        raise error
    return respond(problem_of(error), headers_of(error))


async def _of_validation(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    # the first part of a place is `body`, `query` or `path`
    faults = [
        (field.partition(".")[2] or field if field.startswith(("body.", "query.", "path.")) else field, what)
        for field, what in faults_of(error.errors())
    ]
    return respond(problem_of(InputError(faults)))


async def _of_http(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 400:  # FastAPI's word for a body that it could not read, for whatever reason
        cause = error.__cause__
        if not isinstance(cause, GalenoError):
            cause = InputError([("body", "cannot be read")])
        return respond(problem_of(cause), headers_of(cause))
    titles = {404: "Not found", 405: "Method not allowed"}
    problem = {
        "type": "about:blank",
        "title": titles.get(error.status_code, "Not possible"),
        "status": error.status_code,
        "detail": "there is nothing at this address" if error.status_code == 404 else str(error.detail),
    }
    return respond(problem, error.headers)


def of_anything(error: Exception, method: str) -> dict[str, Any]:
    """The problem of an error that nobody expected.

    Its message may hold a value of a record, so only its kind and place go to the log.
    """
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}"
    _log.error("unexpected %s in %s (%s)", type(error).__name__, where, method)
    return dict(FAULT)


async def _of_fault(request: Request, _: Exception) -> Response:
    """Answer an error that nobody expected; the guard writes it down."""
    page: Response | None = request.scope.get(FAULT_PAGE)
    return respond(FAULT) if page is None else page


def install(app: FastAPI) -> None:
    """Let an app answer with problems."""
    app.add_exception_handler(GalenoError, _of_galeno)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_fault)
