"""The description of the API, OpenAPI 3.1, made from the table of endpoints."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend_worker.dashboard.endpoints import Endpoint

Schema = dict[str, Any]

_INTEGER: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "string", "format": "date-time"}


def _or_null(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _of(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Schema) -> Schema:
    """Return an object all of whose properties are always there; more may come."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _with(base: Schema, **properties: Schema) -> Schema:
    """Return a schema with further properties, or with others in their place."""
    return _object(**base["properties"] | properties)


def _all(schema: Schema, names: str) -> dict[str, Schema]:
    return dict.fromkeys(names.split(), schema)


_SCAN = _object(
    id=_INTEGER,
    root=_TEXT,
    status={"enum": ["running", "cancelling", "completed", "cancelled", "failed"]},
    started_at=_TIME,
    finished_at=_or_null(_TIME),
    walk_ended=_FLAG,
    **_all(
        _INTEGER,
        "directories found stored unchanged failed ignored waiting moved gone error_count left_out",
    ),
    message=_or_null(_TEXT),
    seconds=_or_null(_NUMBER),
)
_PICTURE = {
    **_or_null(_TEXT),
    "description": "null without a picture; with it as `version` browsers may keep the picture",
}
_TRACK = _object(
    id=_INTEGER,
    title=_TEXT,
    artist=_or_null(_TEXT),
    album=_or_null(_TEXT),
    album_id=_or_null(_INTEGER),
    date=_or_null(_TEXT),
    genres=_list(_TEXT),
    duration=_or_null(_NUMBER),
    codec=_or_null(_TEXT),
    path=_TEXT,
)
_ALBUM = _object(
    id=_INTEGER,
    title=_TEXT,
    artist=_or_null(_TEXT),
    date=_or_null(_TEXT),
    compilation=_FLAG,
    tracks=_INTEGER,
    cover=_PICTURE,
)
_NAMED = _object(id=_INTEGER, name=_TEXT)
_NEXT = _or_null(_TEXT)

SCHEMAS: dict[str, Schema] = {
    "Error": _object(error=_TEXT),
    "Healthy": _object(ok=_FLAG, away=_list(_TEXT)),
    "Worker": _object(
        name=_TEXT,
        version=_TEXT,
        pid=_INTEGER,
        processes=_INTEGER,
        busy_processes=_INTEGER,
        max_processes=_INTEGER,
        tasks_done=_INTEGER,
        uptime_seconds=_NUMBER,
        hanging_folders=_list(_object(folder=_TEXT, seconds=_INTEGER, sentence=_TEXT)),
    ),
    "Board": _object(
        memory_bytes=_or_null(_INTEGER),
        memory_high_bytes=_or_null(_INTEGER),
        pss_bytes=_or_null(_INTEGER),
        temperature_c=_or_null(_NUMBER),
        cpu_percent=_or_null(_NUMBER),
        files_per_second=_or_null(_NUMBER),
        scale_events=_list(
            _object(**{"time": _NUMBER, "from": _INTEGER, "to": _INTEGER, "reason": _TEXT})
        ),
    ),
    "Progress": _with(
        _SCAN,
        scan=_INTEGER,
        rate=_NUMBER,
        seconds_left=_or_null(_NUMBER),
        folder=_or_null(_TEXT),
    ),
    "Status": _object(
        workers=_list(_of("Worker")),
        queues={"type": "object", "additionalProperties": _INTEGER},
        under_way=_INTEGER,
        library=_object(
            **_all(
                _INTEGER,
                "tracks albums artists covers vectors failed_files gone_files duration_seconds"
                " bytes",
            )
        ),
        scan=_or_null(_of("Progress")),
        board=_of("Board"),
        flower_url=_or_null(_TEXT),
    ),
    "Scan": _SCAN,
    "Scans": _list(_of("Scan")),
    "StartScan": {
        "type": "object",
        "properties": {
            "folder": {**_TEXT, "description": "absolute; by default the library's folder"}
        },
    },
    "Started": _object(id=_INTEGER),
    "Cancelled": _object(cancelled=_list(_INTEGER)),
    "Retried": _object(task=_TEXT),
    "TrackRow": _TRACK,
    "Tracks": _object(tracks=_list(_of("TrackRow"))),
    "TrackPage": _object(tracks=_list(_of("TrackRow")), next=_NEXT),
    "Track": _with(_TRACK, artists=_list(_NAMED)),
    "Similar": _object(track=_of("TrackRow"), similar=_list(_with(_TRACK, score=_NUMBER))),
    "AlbumRow": _ALBUM,
    "Albums": _object(albums=_list(_of("AlbumRow")), next=_NEXT),
    "Album": _with(
        _ALBUM,
        artists=_list(_NAMED),
        release_date=_or_null(_TEXT),
        original_date=_or_null(_TEXT),
        disc_total=_or_null(_INTEGER),
        label=_or_null(_TEXT),
        catalog_number=_or_null(_TEXT),
        cover_source=_or_null(_TEXT),
        mbid=_or_null(_TEXT),
        duration=_NUMBER,
        tracks=_list(
            _with(
                _TRACK,
                disc_number=_or_null(_INTEGER),
                disc_title=_or_null(_TEXT),
                track_number=_or_null(_INTEGER),
            )
        ),
    ),
    "Artists": _object(
        artists=_list(_with(_NAMED, image=_PICTURE, albums=_INTEGER, tracks=_INTEGER)),
        next=_NEXT,
    ),
    "Artist": _with(
        _NAMED,
        sort_name=_or_null(_TEXT),
        image=_PICTURE,
        mbid=_or_null(_TEXT),
        tracks=_INTEGER,
        albums=_list(_with(_ALBUM, appears_on=_FLAG)),
        similar=_list(_with(_NAMED, score=_NUMBER)),
    ),
    "Failures": _object(
        failures=_list(
            _object(id=_INTEGER, path=_TEXT, size=_INTEGER, reason=_TEXT, read_at=_TIME)
        ),
        next=_NEXT,
    ),
}

_MEANINGS = {
    400: "a parameter is not usable",
    401: "the token is missing or wrong",
    403: "the request comes from another site, or nothing may be changed from here",
    404: "there is no such thing",
    409: "a scan of this folder is running",
    413: "the body is too large",
    429: "too many requests from this address",
    503: "PostgreSQL, Redis or the worker is away",
}


def describe(endpoints: Iterable[Endpoint], others: dict[str, Any]) -> dict[str, Any]:
    """Return the description as one JSON-able document.

    Args:
        endpoints: the table.
        others: paths that do not answer with JSON, described already.
    """
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "backend-worker",
            "version": version("backend-worker"),
            "description": "The dashboard of a music library on a Raspberry Pi.",
        },
        "paths": paths | others,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def refusal(status: int) -> dict[str, Any]:
    """Return the description of an answer that is no success."""
    return {
        "description": _MEANINGS[status],
        "content": {"application/json": {"schema": _of("Error")}},
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    refusals = {*endpoint.refusals, 403, 429}
    if endpoint.parameters:
        refusals.add(400)
    operation: dict[str, Any] = {
        "operationId": endpoint.answer.__name__,
        "summary": endpoint.summary,
        "parameters": [parameter.described() for parameter in endpoint.parameters],
    }
    if endpoint.writes:
        refusals.add(401)
        operation["security"] = [{"token": []}]
    if endpoint.body:
        refusals.add(413)
        operation["requestBody"] = {
            "content": {"application/json": {"schema": _of(endpoint.body)}},
        }
    operation["responses"] = {
        str(endpoint.status): {
            "description": "done" if endpoint.status == 200 else "it is on its way",
            "content": {"application/json": {"schema": _of(endpoint.schema)}},
        },
        **{str(status): refusal(status) for status in sorted(refusals)},
    }
    return operation
