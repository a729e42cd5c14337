"""Generation 14: whatever step of a request fails, nothing is left behind.

Each request of `situations.py` is made once for each of its failure points, in a world where that point
fails; everything the kernel knows and every byte an application may read is compared with what it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from netmap_reference.gen14 import bind, csb, failure, injection, regions, register, requests, situations
from netmap_reference.gen14.injection import Situation
from netmap_reference.gen14.ports import attach_steps, monitor_ends, nic_get, pipe_ends, pipe_get
from netmap_reference.gen14.world import World

from ..engine import Proof
from ..mutation.planting import Slip, standing_in
from ..obligation import Control, obligation
from ..schemas import Cases

_NOTHING = "nothing is left behind"
_ERRNO = "the request ends with the errno of the step that failed"
_FUNCTIONS = (failure.fails, failure.unwind)


def _chosen(names: Iterable[str], switches: frozenset[str]) -> list[Situation]:
    """The situations of these names (all of them without any), in worlds of this reading."""

    def prepared(situation: Situation) -> Callable[[], World]:
        def prepare() -> World:
            world = situation.prepare()
            world.switches = switches
            return world

        return prepare

    found = [s for s in situations.situations() if not names or s.name in names]
    return [Situation(s.name, prepared(s) if switches else s.prepare, s.act, s.ok) for s in found]


def failure_body(*names: str) -> Callable[..., None]:
    """The body for some situations; for all of them without names."""

    def body(p: Proof, *functions: Callable[..., Any]) -> None:
        cases = Cases(p, "failed requests")
        for situation in _chosen(names, p.switches):
            with standing_in(functions):
                points, runs, more, left = injection.inject(situation, pairs=False)
            cases.cases += runs + more - 1
            cases.case(request=situation.name, left="; ".join(f"{x.points}: {x.what}" for x in left[:3]))
            wrong = [x for x in left if x.what.startswith("ends with") or x.what.endswith("did not fail")]
            cases.goal("a request has steps that can fail", points != ())
            cases.goal(_ERRNO, wrong == [])
            cases.goal(_NOTHING, len(left) == len(wrong))
            if p.wanted(_NOTHING) and left:
                break
        cases.end()

    return body


_FORGETS = Control(
    "no step is taken back",
    failure.fails,
    Slip(failure.unwind, "step.step not in s.request.omit -> step.step in s.request.omit"),
    goal=_NOTHING,
)


def _succeeds(*more: Callable[..., Any]) -> Control:
    return Control(
        "as written, and a step that fails goes well",
        Slip(failure.fails, "good == 0 -> good != 0"),
        failure.unwind,
        *more,
        goal=_ERRNO,
    )


_obliged = partial(obligation, functions=_FUNCTIONS, rules=(), whole_device=True)

_obliged(
    "14.failure.undone",
    clauses=("14.failure.undone", "14.failure.errno", "14.register.failure", "14.csb.failure"),
    statement="""Whatever step of a request fails, the request ends with that step's errno and leaves nothing
    behind: neither in the kernel's records nor in a byte that an application may read.""",
    control=_FORGETS,
    bounds="""Every failure point of every request of `situations.py`, one at a time; the tests run two
    in a row.""",
)(failure_body())

#: What the code forgets: name, finding, switch, clauses, the request that shows it, and in words.
_FORGOTTEN = (
    (
        "host-rings", "F14-009", nic_get.HOST_RINGS_STICK, ("14.host.counts", "14.register.failure"),
        "REGISTER v0 exclusive, host rings, extra buffers",
        "the numbers of host rings that were asked for stay",
    ),
    (
        "pipe-memory", "F14-013", pipe_get.LEAKS_MEMORY, ("14.failure.undone",),
        "PORT_INFO_GET v0{1",
        "the region of a pipe that was not made keeps its reference",
    ),
    (
        "pipe-needed", "F14-014", pipe_ends.NEEDED_STICKS, ("14.failure.undone",),
        "REGISTER x}1, another ring",
        "the ring at the other end of a pipe stays",
    ),
    (
        "override", "F14-017", regions.OVERRIDE_STICKS, ("14.memory.override",),
        "PORT_INFO_GET v0 in another region",
        "a port stays in the region it was asked about with",
    ),
    (
        "copyout", "F14-044", requests.DONE_THOUGH_FAILED,
        ("14.control.copied-back", "14.register.failure"),
        "REGISTER v0 ALL_NIC, alone",
        "a request whose body cannot be copied back has been carried out",
    ),
    (
        "csb", "F14-084", csb.SURVIVES_FAILURE, ("14.csb.failure",),
        "REGISTER x{1 in CSB mode",
        "the arrays of CSB mode stay with the descriptor",
    ),
    (
        "ringid", "F14-022", bind.RINGID_STICKS, ("14.register.failure",),
        "REGISTER v0 ALL_NIC, alone",
        "the rings that a request chose stay with its descriptor",
    ),
    (
        "monitor-number", "F14-107", monitor_ends.NUMBER_SKIPPED, ("14.monitor.name",),
        "REGISTER a copy monitor",
        "a monitor that was not made has used up a number",
    ),
    (
        "offsets", "F14-113", bind.OFFSETS_OUTLIVE, ("14.offsets.forgotten",),
        "REGISTER m0 with offsets, in use without",
        "what was agreed on about offsets stays with the ring",
    ),
    (
        "interface", "F14-050", attach_steps.KEEPS_INTERFACE, ("14.failure.undone",),
        "VALE_ATTACH v0 ALL_NIC, alone",
        "an interface that was not attached is referred to for ever",
    ),
    (
        "attached-rings", "F14-051", attach_steps.LOSES_RINGS, ("14.failure.undone",),
        "VALE_ATTACH v0 NIC_SW, beside others",
        "the rings of an attachment that ran out of memory are lost",
    ),
)  # fmt: skip

#: An attachment binds rings for a descriptor of the kernel's own, which is not there before.
_MORE: dict[str, tuple[Callable[..., Any], ...]] = {"attached-rings": (register.bind_file,)}

for _what, _finding, _switch, _clauses, _request, _said in _FORGOTTEN:
    _obliged(
        f"14.failure.undone.as-written.{_what}",
        clauses=_clauses,
        statement=f"As 14.failure.undone, but {_said}.",
        functions=(*_FUNCTIONS, *_MORE.get(_what, ())),
        control=_succeeds(*_MORE.get(_what, ())),
        bounds=f"The request that shows it: {_request}.",
        switches={_switch},
        finding=_finding,
        refutes={_NOTHING},
    )(failure_body(_request))

_obliged(
    "14.failure.errno.as-written.polling",
    clauses=("14.failure.errno",),
    statement="As 14.failure.undone, but polling that gets no memory for its threads ends with EFAULT.",
    control=_FORGETS,
    bounds="The request that shows it: VALE_POLLING_ENABLE.",
    switches={attach_steps.NO_MEMORY_FAULT},
    finding="F14-052",
    refutes={_ERRNO},
)(failure_body("VALE_POLLING_ENABLE"))
