"""Generation 14: what the two libraries make of port specifications, where a finding breaks it.

A memory's number is a step and proved for every number; the parsers of text are held by smallest traces
(:mod:`..traces`) beside the generated specifications that they are compared with the C code on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from netmap_reference.core.choice import eager
from netmap_reference.core.step import Step
from netmap_reference.gen14.libraries import nm_open, nmport, nmport_options, words
from netmap_reference.gen14.result import Result
from netmap_reference.gen14.world import World

from ..engine import Proof
from ..obligation import Control, obligation
from ..traces import OTHERS, Goals, bind, faults, good, promise

# --- the number of a memory -------------------------------------------------------------------------------

_NAMED = "the memory is the one named, or none"


def memory_body(p: Proof, memory_number: Callable[..., Step[int]]) -> None:
    value = p.integer("value", -(1 << 63), (1 << 63) - 1)
    step = p.run(memory_number, value, p.switches)
    there = value >= 1 and value <= 65535
    p.goal("a memory that can be is taken", not there or (step.outcome.ok and step.state == value))
    p.goal("what is below 1 is EINVAL", value >= 1 or step.outcome.detail == "EINVAL")
    p.goal("what is refused has no number", step.outcome.ok or step.state == 0)
    p.goal(_NAMED, step.state == value if step.outcome.ok else step.outcome.detail == "EINVAL")
    cut = words.MEMID_CUT in p.switches and value > 65535
    p.goal("as written the low sixteen bits count", not cut or step.state == value % 65536)
    told = (words.MEMID in step.fired, words.MEMID_NONE in step.fired)
    p.goal("the rule says what it was", told == (there, value < 1))


_memory = partial(
    obligation,
    clauses=("14.portspec.memory",),
    functions=(words.memory_number,),
    control=Control(
        "memory 0 is taken",
        lambda value, switches: Step(0) if value == 0 else words.memory_number(value, switches),
        goal="what is below 1 is EINVAL",
    ),
    assumptions="Any number that a long holds.",
)
_memory(
    "14.portspec.memory-number",
    statement="The number of a memory in a specification is taken from 1 to 65535, and EINVAL otherwise.",
    rules=(words.MEMID, words.MEMID_NONE, words.MEMID_HIGH),
)(memory_body)
_memory(
    "14.portspec.memory-number.as-written",
    statement="As 14.portspec.memory-number, but a larger number is stored in sixteen bits.",
    switches={words.MEMID_CUT},
    rules=(words.MEMID, words.MEMID_NONE, words.MEMID_WRAPS),
    finding="F14-047",
    refutes={_NAMED},
)(memory_body)


# --- specifications ---------------------------------------------------------------------------------------


def _reads(w: World, how: str, *texts: str, **fields: Any) -> Result:
    return w.parse(how, texts, fields, eager)


def overrun(w: World) -> Goals:
    yield OTHERS, good(bind(w, "A", name="v0"), _reads(w, "nmport", "netmap:v0@conf:rings=1"))
    got = _reads(w, "nmport", "netmap:v0@conf:rings=1,")
    yield "a comma with nothing behind it is EINVAL", not faults(got) and got.outcome.detail == "EINVAL"


promise(
    "14.nmport.last-comma", ("14.nmport.keys",), overrun, nmport_options.OVERRUN, "F14-046",
    "a comma with nothing behind it is EINVAL",
    "An option whose last value ends with a comma is EINVAL.",
    "the library reads and writes behind its copy",
)  # fmt: skip


def default(w: World) -> Goals:
    yield OTHERS, good(bind(w, "A", name="v0"), _reads(w, "nmport", "netmap:v0@conf:rings=4"))
    got = _reads(w, "nmport", "netmap:v0@conf=4")
    yield "a value without a key is that of the default", good(got) and got.out["nr_tx_rings"] == 4


promise(
    "14.nmport.conf-default", ("14.nmport.conf",), default, nmport_options.NO_DEFAULT, "F14-048",
    "a value without a key is that of the default",
    "The option conf takes a value without a key for the number of rings.",
    "it is EINVAL",
)  # fmt: skip


def empty_pipe(w: World) -> Goals:
    yield OTHERS, good(bind(w, "A", name="v0"), _reads(w, "nmport", "netmap:v0{1/x"))
    got = _reads(w, "nmport", "netmap:v0{/x")
    yield "a pipe without a name is EINVAL", got.outcome.detail == "EINVAL"


promise(
    "14.nmport.pipe-name", ("14.nmport.pipe",), empty_pipe, nmport.EMPTY_PIPE, "F14-048",
    "a pipe without a name is EINVAL",
    "A specification with a pipe without a name is EINVAL, whatever comes behind it.",
    "with a letter behind it it is let through",
)  # fmt: skip


def share_rest(w: World) -> Goals:
    yield OTHERS, good(bind(w, "A", name="v0"), _reads(w, "nmport", "netmap:v0@share=netmap:v0"))
    got = _reads(w, "nmport", "netmap:v0@share=netmap:v0/whatever")
    yield "a port to share with is a name and nothing else", got.outcome.detail == "EINVAL"


promise(
    "14.nmport.share-name", ("14.nmport.share",), share_rest, nmport_options.SHARE_REST, "F14-048",
    "a port to share with is a name and nothing else",
    "The option share names a port, and what cannot be part of a name is EINVAL.",
    "it is left out",
)  # fmt: skip


def clears(w: World) -> Goals:
    yield OTHERS, good(bind(w, "A", name="v0"), _reads(w, "nmport", "netmap:v0"))
    got = _reads(w, "nmport", "v0")
    kept = got.hdr["nr_version"] == 14 and got.hdr["nr_reqtype"] == 1
    yield "a descriptor that was refused can be used again", got.outcome.detail == "EINVAL" and kept


promise(
    "14.nmport.refused", ("14.nmport.failure",), clears, nmport.CLEARS, "F14-048",
    "a descriptor that was refused can be used again",
    "A specification that is refused leaves the descriptor as it was.",
    "its header is cleared",
)  # fmt: skip


def no_number(w: World) -> Goals:
    yield OTHERS, good(bind(w, "A", name="v0"), _reads(w, "nm_open", "netmap:v0-0/x"))
    yield "a ring without a number is EINVAL", _reads(w, "nm_open", "netmap:v0-/x").outcome.detail == "EINVAL"


promise(
    "14.nmopen.ring-number", ("14.nmopen.number",), no_number, nm_open.ANY_NUMBER, "F14-048",
    "a ring without a number is EINVAL",
    "nm_open refuses a name that asks for a ring and gives no number.",
    "it is ring 0",
)  # fmt: skip


def adds(w: World) -> Goals:
    request = {"flags": 4, "ringid": 1}
    yield OTHERS, good(bind(w, "A", name="v0"), _reads(w, "nm_open", "netmap:v0-2"))
    got = _reads(w, "nm_open", "netmap:v0-2", request=request)
    yield "the name counts, not the request beside it", good(got) and got.out["nr_ringid"] % 4096 == 2


promise(
    "14.nmopen.name-counts", ("14.nmopen.request",), adds, nm_open.ADDS, "F14-048",
    "the name counts, not the request beside it",
    "Where the name that nm_open is given says which rings, the request beside it does not.",
    "both are joined bit by bit",
)  # fmt: skip
