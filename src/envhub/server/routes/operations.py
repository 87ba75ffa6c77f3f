"""For those who run the hub: is it well, and what does it count."""

from __future__ import annotations

import re

import yaml
from msgspec import Struct
from starlette.responses import PlainTextResponse, Response

from envhub.server.call import Call, reply, route
from envhub.server.index import MAX_CARD
from envhub.server.refusals import forbidden


def healthz(call: Call) -> Response:
    """Whether the database answers and the disk can be written."""
    call.hub.database.value("SELECT count(*) FROM owners")
    with call.hub.intake(16) as intake:
        intake.write(b"ok")
        intake.written()
    return reply({"status": "ok"})


def metrics(call: Call) -> Response:
    """Counters for Prometheus; from outside only behind a proxy that lets them through."""
    address = call.request.client.host if call.request.client else ""
    if not re.match(r"127\.|::1$|testclient$", address):
        raise forbidden("metrics are for this machine only")
    tables = ("owners", "repos", "blobs")
    gauges = {name: call.hub.database.value(f"SELECT count(*) FROM {name}") for name in tables}  # noqa: S608 - names of ours
    gauges["blob_bytes"] = call.hub.database.value("SELECT coalesce(sum(size), 0) FROM blobs")
    return PlainTextResponse(call.hub.metrics.text(gauges))


class Card(Struct):
    """A README to look at."""

    content: str = ""


def validate_yaml(call: Call) -> Response:
    """Whether the front matter of a README can be read."""
    content = call.json(Card).content
    found = re.match(r"---[ \t]*\r?\n(.*?)\r?\n---", content, re.DOTALL)
    error = ""
    if found and len(found[1]) > MAX_CARD:
        error = f"longer than {MAX_CARD} characters"
    elif found:
        error = _mistake(found[1])
    errors = (
        [{"message": f"README.md: the front matter is no YAML mapping: {error}"}] if error else []
    )
    return reply({"errors": errors, "warnings": []}, 400 if errors else 200)


def _mistake(text: str) -> str:
    try:
        # Events do not follow aliases, so that no small text grows without end.
        kinds = [type(event).__name__ for event in yaml.parse(text, yaml.SafeLoader)]
    except (yaml.YAMLError, RecursionError) as error:
        return str(error)
    if len(kinds) > 2 and kinds[2] not in {"MappingStartEvent", "DocumentEndEvent"}:
        return "its top level is something else"
    return ""


def agent_harnesses(_: Call) -> Response:
    """What `hf` asks at every start; we know of none."""
    return reply({"standardEnvVars": [], "harnesses": {}})


ROUTES = [
    route("GET HEAD", r"/healthz", healthz, open=True),
    route("GET", r"/metrics", metrics, open=True),
    route("POST", r"/api/validate-yaml", validate_yaml),
    route("GET", r"/api/agent-harnesses", agent_harnesses, open=True),
]
