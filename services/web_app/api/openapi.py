"""The OpenAPI 3.1 document, drawn from the very structures that read queries and shape answers."""

from typing import Any, NamedTuple

import msgspec
from flask import Blueprint, Response

from web_app.api.answers import json_answer
from web_app.api.current import ScoreSeriesQuery, ScoresQuery
from web_app.api.export import MEDIA_TYPES, ExportQuery
from web_app.api.history import BarsQuery, PredictionsQuery, TicksQuery
from web_app.api.legacy import LegacyQuery, MetricsDataQuery
from web_app.api.models import LatestAnswer
from web_app.api.params import NoQuery, Query, SymbolQuery
from web_app.api.schemas import (
    BarsAnswer,
    HealthAnswer,
    OverviewAnswer,
    PredictionPoint,
    PredictionsAnswer,
    PricePoint,
    Problem,
    ScoresAnswer,
    ScoreSeriesAnswer,
    StatusAnswer,
    SymbolsAnswer,
    TicksAnswer,
)
from web_app.api.stream import StreamQuery
from web_app.guard import OPEN
from web_app.registry import ModelsAnswer
from web_app.runtime import Runtime

__all__ = ["OPERATIONS", "add_openapi", "make_document"]

_REFERENCE = "#/components/schemas/{name}"
_PROBLEM = "application/problem+json"
_V1 = "/api/v1"


class _Operation(NamedTuple):
    path: str
    tag: str
    summary: str
    query: type[Query]
    answer: Any
    content_types: tuple[str, ...] = ("application/json",)


OPERATIONS = (
    _Operation(f"{_V1}/health", "now", "One look at everything", NoQuery, HealthAnswer),
    _Operation(f"{_V1}/status", "now", "The pipeline in detail", SymbolQuery, StatusAnswer),
    _Operation(f"{_V1}/symbols", "now", "What is served", NoQuery, SymbolsAnswer),
    _Operation(f"{_V1}/latest", "now", "The newest tick and forecasts", SymbolQuery, LatestAnswer),
    _Operation(
        f"{_V1}/stream",
        "now",
        "Server-sent events: tick, prediction, health, heartbeat, reset, end; resumable by id",
        StreamQuery,
        str,
        ("text/event-stream",),
    ),
    _Operation(f"{_V1}/ticks", "history", "Ticks by time", TicksQuery, TicksAnswer),
    _Operation(f"{_V1}/bars", "history", "Bars of one width", BarsQuery, BarsAnswer),
    _Operation(
        f"{_V1}/predictions",
        "history",
        "Forecasts of one horizon, and what came",
        PredictionsQuery,
        PredictionsAnswer,
    ),
    _Operation(
        f"{_V1}/export",
        "history",
        "A range as CSV or Parquet",
        ExportQuery,
        str,
        tuple(MEDIA_TYPES.values()),
    ),
    _Operation(f"{_V1}/scores", "scores", "All horizons, one window", ScoresQuery, ScoresAnswer),
    _Operation(
        f"{_V1}/scores/series",
        "scores",
        "One horizon over time",
        ScoreSeriesQuery,
        ScoreSeriesAnswer,
    ),
    _Operation(f"{_V1}/models", "scores", "Training runs and decisions", NoQuery, ModelsAnswer),
    _Operation("/api/health", "earlier", "As /api/v1/health", NoQuery, HealthAnswer),
    _Operation("/api/price-data", "earlier", "Last hour", LegacyQuery, list[PricePoint]),
    _Operation("/api/prediction-data", "earlier", "Last hour", LegacyQuery, list[PredictionPoint]),
    _Operation(
        "/api/metrics-data",
        "earlier",
        "Metadata, then errors over time",
        MetricsDataQuery,
        list[dict[str, bool | str | float]],
    ),
    _Operation("/api/data", "earlier", "All of it at once", LegacyQuery, OverviewAnswer),
)


def add_openapi(api: Blueprint, runtime: Runtime) -> None:
    """Add the route to ``api``."""
    documents = {
        secured: msgspec.json.encode(make_document(secured=secured)) for secured in (False, True)
    }

    @api.get("/openapi.json")
    def openapi() -> Response:
        return json_answer(documents[runtime.token() is not None])


def make_document(*, secured: bool = False) -> dict[str, Any]:
    """Return the document; ``secured`` where a token has to be sent."""
    kinds = [each.answer for each in OPERATIONS] + [Problem]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    paths = {
        operation.path: {"get": _describe(operation, schema, schemas[-1])}
        for operation, schema in zip(OPERATIONS, schemas, strict=False)
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Bitcoin forecast",
            "version": "1",
            "description": "Live prices, probabilistic forecasts and how they came out. Read only.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in ("now", "history", "scores", "earlier")],
        "paths": paths,
        "components": {"schemas": components},
    }
    if secured:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        for path, item in paths.items():
            if path in OPEN:
                item["get"]["security"] = []
            else:
                item["get"]["responses"]["401"] = {
                    "description": "No token, or a wrong one",
                    "content": {_PROBLEM: {"schema": schemas[-1]}},
                }
    return document


def _describe(operation: _Operation, schema: Any, problem: Any) -> dict[str, Any]:
    responses = {"200": "The answer", "304": "What the client has is still right"}
    problems = {"400": "Wrong query", "404": "Unknown", "429": "Too many", "503": "Not now"}
    described: dict[str, Any] = {
        status: {"description": text, "content": {_PROBLEM: {"schema": problem}}}
        for status, text in problems.items()
    }
    described |= {status: {"description": text} for status, text in responses.items()}
    described["200"]["content"] = {each: {"schema": schema} for each in operation.content_types}
    if operation.answer is HealthAnswer:
        described["503"]["content"]["application/json"] = {"schema": schema}
    return {
        "operationId": operation.path.removeprefix("/api/").replace("/", "_").replace("-", "_"),
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": (operation.query.__doc__ or "").partition("\n")[0].replace("``", ""),
        "parameters": _parameters(operation.query),
        "responses": described,
    }


def _parameters(query: type[Query]) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([query], ref_template=_REFERENCE)
    properties = components[query.__name__].get("properties", {})
    parameters = []
    for name, schema in properties.items():
        variants = schema.pop("anyOf", None)
        if variants:  # "or null" means that the parameter may be left out
            schema |= next(each for each in variants if each != {"type": "null"})
            schema.pop("default", None)
        parameters.append({"name": name, "in": "query", "required": False, "schema": schema})
    return parameters
