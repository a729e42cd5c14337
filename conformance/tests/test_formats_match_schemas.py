"""The types that read and write our files and the published schemas describe the same members.

The types are the source of truth; the schemas are written by hand for people and other languages.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

import msgspec
import pytest
from netmap_conformance import manifest, trace
from netmap_spec import schemas

PAIRS = [
    pytest.param(trace.Header, "trace", "Header", id="trace-header"),
    pytest.param(trace.Port, "trace", "Port", id="trace-port"),
    pytest.param(trace.Call, "trace", "Call", id="trace-call"),
    pytest.param(trace.Return, "trace", "Return", id="trace-return"),
    pytest.param(trace.See, "trace", "See", id="trace-see"),
    pytest.param(manifest.Manifest, "manifest", "", id="manifest"),
    pytest.param(manifest.Deviation, "manifest", "Deviation", id="manifest-deviation"),
]


def described(schema: str, part: str) -> dict[str, Any]:
    whole = schemas.load(schema)
    found: dict[str, Any] = whole["$defs"][part] if part else whole
    return found


@pytest.mark.parametrize(("kind", "schema", "part"), PAIRS)
def test_type_and_schema_have_the_same_members(kind: type[msgspec.Struct], schema: str, part: str) -> None:
    config = kind.__struct_config__
    tags = {str(config.tag_field)} if config.tag_field else set()
    assert {*kind.__struct_encode_fields__, *tags} == set(described(schema, part)["properties"])


@pytest.mark.parametrize(("kind", "schema", "part"), PAIRS)
def test_type_and_schema_require_the_same_members(kind: type[msgspec.Struct], schema: str, part: str) -> None:
    required = {f.encode_name for f in msgspec.structs.fields(kind) if f.required}
    tag = kind.__struct_config__.tag_field
    assert required | ({tag} if tag else set()) == set(described(schema, part).get("required", []))


def _types(schema: Any, definitions: dict[str, Any]) -> set[str]:
    """The JSON types a schema allows, references followed; empty when it allows any."""
    if "$ref" in schema:
        return _types(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in schema:
        return {t for part in schema["anyOf"] for t in _types(part, definitions)}
    if "else" in schema:
        return {"null"} | _types(schema["else"], definitions)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return {"string" if isinstance(v, str) else "integer" for v in values}
    kind = schema.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)


@pytest.mark.parametrize(("kind", "schema", "part"), PAIRS)
def test_type_and_schema_type_members_alike(kind: type[msgspec.Struct], schema: str, part: str) -> None:
    own = msgspec.json.schema(kind)
    properties = own["$defs"][kind.__name__]["properties"]
    for name, member in described(schema, part)["properties"].items():
        ours = _types(member, schemas.load(schema).get("$defs", {}))
        theirs = _types(properties[name], own["$defs"])
        assert ours == theirs, f"{name}: schema {sorted(ours)}, type {sorted(theirs)}"


def test_what_the_trace_writer_writes_is_described() -> None:
    """One trace with every member filled in."""
    see = trace.See(
        full=True,
        nifp={"ni_name": "v0"},
        rings={"tx0": {"head": 1}},
        slots={"tx0": [[0, 2, 60, 0, 0]]},
        bytes={"tx0/0": "00ff"},
        frames=["00ff"],
        kernel={"hwcur": 0},
    )
    written = trace.Trace(
        header=trace.Header(
            netmap_trace=trace.FORMAT,
            generation="14",
            title="t",
            text="words",
            target="reference",
            abi="14@linux-x86_64",
            initial="unknown",
            ports=[trace.Port(name="v0", kind="host-only", peer="v1", tx_rings=2, emulated=True, mtu=9000)],
            clauses=["14.ring.tx-window"],
            needs=["pipe"],
            seed=7,
            source="by hand",
            config={"buffers": 4},
        ),
        events=[
            trace.Call(n=1, op="poll", fd="A", actor="t", args={"events": ["in"]}, text="poll A in", line=3),
            trace.Return(
                of=1,
                ret=-1,
                errno="EINVAL",
                fault="netmap.c:1",
                hang=True,
                wrote={"head": 1},
                out={"memsize": 1},
                hdr={"version": 14},
                options=[{"status": 0}],
                revents=["in"],
                see=see,
                events=[["L", "tx0"]],
                line=4,
            ),
            trace.Return(of=1),
        ],
    )
    assert schemas.validate_lines("trace", trace.dump(written)) == []
    header, _, returned, _ = trace.dump(written).splitlines()
    assert set(json.loads(header)) == set(described("trace", "Header")["properties"])
    assert set(json.loads(returned)) == set(described("trace", "Return")["properties"])


@pytest.mark.parametrize("name", manifest.builtin())
def test_every_manifest_of_ours_is_described(name: str) -> None:
    text = (manifest.HERE / f"{name}.toml").read_text(encoding="utf-8")
    assert schemas.validate("manifest", tomllib.loads(text)) == []
