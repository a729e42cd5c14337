"""A program that reads port specifications with one of the libraries, on a device of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.choice import Choose
from ...core.outcome import OK
from .. import requests
from ..result import Result
from ..state import File, System
from .nm_open import Nmreq, nm_parse
from .nmport import Around, Port, nmport_parse


def read(
    s: System,
    how: str,
    texts: Sequence[str],
    fields: Mapping[str, Any],
    switches: frozenset[str],
    choose: Choose,
) -> Result:
    """Read ``texts`` one after the other, into one request or descriptor, up to the first that can be read.

    ``how`` is ``nm_open`` or ``nmport``. ``fields``: ``request`` has ``flags`` and ``ringid`` of nm_open's
    request; ``files`` are sizes of files by name; ``enable`` and ``disable`` are names of options. ``out``,
    ``hdr`` and ``options`` are what stands there in the end. Raises ``ValueError`` for another library.
    """
    if how == "nm_open":
        return _nm_open(texts, fields.get("request") or {}, switches)
    if how != "nmport":
        raise ValueError(f"there is no library '{how}': nm_open or nmport")
    files = dict(fields.get("files") or {})

    def memory_of(name: str) -> int | str:
        """PORT_INFO_GET, on a descriptor of the library's own."""
        other = s.clone()
        file = max(other.files, default=-1) + 1
        other.files[file] = File()
        asked = requests.run(other, file, "PORT_INFO_GET", {"name": name}, switches, choose)
        return int(asked.out["nr_mem_id"]) if asked.outcome.ok else asked.outcome.detail

    around = Around(
        memory_of,
        lambda name: files.get(name, "ENOENT"),
        frozenset(fields.get("enable") or ()),
        frozenset(fields.get("disable") or ()),
        switches,
    )
    port, outcome = Port(), OK
    for text in texts:
        step = nmport_parse(text, around, port)
        port, outcome = step.state, step.outcome
        if outcome.ok:
            break
    out = {
        f"nr_{name}": getattr(port, name)
        for name in Port.__slots__
        if name not in ("version", "reqtype", "name", "options")
    }
    hdr = {"nr_version": port.version, "nr_reqtype": port.reqtype, "nr_name": port.name}
    return Result(outcome, tuple(around.fired), out, hdr=hdr, options=tuple(dict(o) for o in port.options))


def _nm_open(texts: Sequence[str], asked: Mapping[str, Any], switches: frozenset[str]) -> Result:
    found = Nmreq("", int(asked.get("ringid", 0)), int(asked.get("flags", 0)))
    fired: list[str] = []
    outcome = OK
    for text in texts:
        step = nm_parse(text, found, switches)
        fired.extend(step.fired)
        found, outcome = step.state, step.outcome
        if outcome.ok:
            break
    out = {f"nr_{name}": getattr(found, name) for name in Nmreq.__slots__}
    return Result(outcome, tuple(fired), out)
