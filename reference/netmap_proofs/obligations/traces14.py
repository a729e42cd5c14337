"""Generation 14: smallest traces of what requests promise one after the other, each on a device of its own.

For promises about a row of requests, where one trace says it: what comes back, and what is there afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.gen14 import bind, csb, kloop, legacy, memory, poll, requests, switch_requests
from netmap_reference.gen14.ports import vale_ports
from netmap_reference.gen14.ring import Kring
from netmap_reference.gen14.world import World

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every
from ..traces import OTHERS, Goals, ask, good, promise, register

# --- the traces -------------------------------------------------------------------------------------------


def attach_fails(w: World) -> Goals:
    w.open("A")
    w.open("B")
    made = [ask(w, "A", "VALE_NEWIF", name="p"), register(w, "B", name="p")]
    refused = ask(w, "A", "VALE_ATTACH", name="vale0:p").outcome.detail
    found = ask(w, "A", "VALE_LIST", name="vale0:p").outcome.detail
    yield OTHERS, good(*made) and refused == "EBUSY"
    yield "an attachment that fails is not there", found == "ENOENT"


def persistent(w: World) -> Goals:
    w.open("A")
    w.open("B")
    made = [ask(w, "A", "VALE_NEWIF", name="p"), ask(w, "A", "VALE_ATTACH", name="vale0:p")]
    made += [register(w, "B", name="vale0:p"), w.close("B")]
    off = ask(w, "A", "VALE_DETACH", name="vale0:p")
    gone = ask(w, "A", "VALE_DELIF", name="p")
    yield OTHERS, good(*made)
    yield "a port that was bound can be taken away like any other", good(off, gone)


def stop_first(w: World) -> Goals:
    w.open("A")
    option = {"type": "CSB", "entries": 8}
    made = [register(w, "A", name="v0", flags="NR_EXCLUSIVE", options=[option])]
    made += [ask(w, "A", "SYNC_KLOOP_STOP"), ask(w, "A", "SYNC_KLOOP_START", sleep_us=10)]
    yield OTHERS, good(*made)
    yield "a STOP without a loop ends none", made[-1].asleep


def enable_unbound(w: World) -> Goals:
    w.open("A")
    option = {"type": "CSB", "entries": 8}
    early = ask(w, "A", "CSB_ENABLE", options=[option]).outcome.detail
    bound = register(w, "A", name="v0", flags="NR_EXCLUSIVE")
    after = ask(w, "A", "CSB_ENABLE", options=[option])
    yield OTHERS, good(bound, after)
    yield "CSB mode needs a bound descriptor", early == "ENXIO"


def too_large(w: World) -> Goals:
    for fd in "ABCD":
        w.open(fd)
    users = [register(w, "A", name="m0"), register(w, "B", name="v0")]
    held = w.system().allocators[memory.GLOBAL_ID].active
    w.close("A")
    w.close("B")
    w.sysctl("buf_size", 70_000)
    refused = [register(w, fd, name="v0").outcome.detail for fd in ("C", "D")]
    active = w.system().allocators[memory.GLOBAL_ID].active
    yield OTHERS, good(*users) and held == 2 and refused[0] == "EINVAL"
    yield "sizes that cannot be laid out are refused each time", refused[1] == "EINVAL" and active == 0


def no_body(w: World) -> Goals:
    w.open("A")
    first = register(w, "A", name="v0", header={"nobody": 1})
    again = register(w, "A", name="v0", header={"reserved": dict(first.hdr)["nr_reserved"]})
    told = first.outcome.detail == "EINVAL"
    good = register(w, "A", name="v0") if not again.outcome.ok else again
    yield OTHERS, told and good.outcome.ok
    yield "a corrected request is accepted", again.outcome.ok


def old_head(w: World) -> Goals:
    made = []
    for fd, extra in (("A", 2), ("D", 3), ("B", 0)):
        w.open(fd)
        made.append(register(w, fd, name="v0", extra_bufs=extra))
    head = w.nifp("D").ni_bufs_head if good(*made) else 0
    w.close("A")
    w.close("D")
    w.open("C")
    made.append(register(w, "C", name="v0", extra_bufs=12))
    taken = head in w.system().allocators[memory.GLOBAL_ID].buf_pool.used
    w.open("A")
    w.fail("nic.register")
    late = register(w, "A", name="m0").outcome.detail
    kept = head in w.system().allocators[memory.GLOBAL_ID].buf_pool.used
    yield OTHERS, good(*made) and taken and late == "ENOMEM"
    yield "a late failure frees nobody's chain", kept


def map_fails(w: World) -> Goals:
    for fd in ("A", "B", "C"):
        w.open(fd)
    made = register(w, "A", name="m0")
    w.fail("memory.map")
    refused = register(w, "B", name="v0").outcome.detail
    after = [register(w, "B", name="v0"), register(w, "C", name="m0")]
    yield OTHERS, good(made) and refused == "ENOMEM"
    yield "who comes after a device that cannot be mapped for finds the region", good(*after)


promise(
    "14.switch.attach-fails", ("14.switch.attach",), attach_fails, switch_requests.STAYS_ATTACHED, "F14-065",
    "an attachment that fails is not there",
    "An attachment that fails because the port is in use leaves no port on the switch.",
    "the port stays on the switch",
)  # fmt: skip
promise(
    "14.switch.persistent", ("14.switch.attach",), persistent, vale_ports.RENAMED, "F14-064",
    "a port that was bound can be taken away like any other",
    "A persistent port that was bound and closed can be detached and deleted.",
    "it has another name by then",
)  # fmt: skip
promise(
    "14.kloop.stop-first", ("14.kloop.stop",), stop_first, kloop.STOP_REMEMBERED, "F14-082",
    "a STOP without a loop ends none",
    "A loop that starts after a STOP which found none runs.",
    "it ends at once",
)  # fmt: skip
promise(
    "14.csb.bound-only", ("14.csb.enable-bound",), enable_unbound, csb.ENABLE_UNBOUND, "F14-085",
    "CSB mode needs a bound descriptor",
    "CSB_ENABLE fails on a descriptor that is not bound, and succeeds when it is.",
    "it succeeds and does nothing",
)  # fmt: skip
promise(
    "14.memory.refused-sizes", ("14.memory.reconfigured",), too_large, memory.COUNTS_DOWN, "F14-015",
    "sizes that cannot be laid out are refused each time",
    "Sizes that cannot be laid out are refused by every request until they are changed.",
    "the region counts a user less, and the next request is carried out",
)  # fmt: skip
promise(
    "14.memory.error-passes", ("14.memory.finalized",), map_fails, memory.ERROR_STICKS, "F14-026",
    "who comes after a device that cannot be mapped for finds the region",
    "A request that fails because its device cannot be mapped for leaves the region to the others.",
    "the region returns the error to whoever comes next",
)  # fmt: skip
promise(
    "14.control.sent-again", ("14.control.header",), no_body, requests.RESERVED_LEFT, "F14-043",
    "a corrected request is accepted",
    "A request that was refused for its body is accepted when it is corrected and sent again.",
    "its header has come back changed",
)  # fmt: skip
promise(
    "14.failure.no-early-use", ("14.failure.no-early-use",), old_head, bind.STALE_HEAD, "F14-012",
    "a late failure frees nobody's chain",
    "A REGISTER that fails late gives back no chain of extra buffers but its own.",
    "the head that the memory had before counts",
)  # fmt: skip

# --- versions of the old interface -----------------------------------------------------------------

_KNOWN = "a version that netmap does not have is refused"


def version_body(p: Proof, check: Callable[..., Step[bool]]) -> None:
    version = p.u32("nr_version")
    step = p.run(check, version, p.switches)
    p.goal("a version before 14 is refused", step.outcome.detail == "EINVAL" or version >= 14)
    p.goal("version 14 is taken", step.outcome.ok or version != 14)
    p.goal(_KNOWN, not step.outcome.ok or version <= 14)
    p.goal("the step says what the call does", step.state == step.outcome.ok)
    told = (legacy.TOO_OLD in step.fired, legacy.TOO_NEW in step.fired, legacy.UNBOUNDED in step.fired)
    unbounded = legacy.VERSION_UNBOUNDED in p.switches
    newer = version > 14
    p.goal("the rules say so", told == (version < 14, newer and not unbounded, newer and unbounded))


_CONTROL = Control(
    "every version is taken",
    lambda version, switches: Step(True),
    goal="a version before 14 is refused",
)
obligation(
    "14.legacy.version",
    clauses=("14.legacy.version",),
    statement="The old interface takes version 14 and refuses every other.",
    functions=(legacy.check_version,),
    control=_CONTROL,
    assumptions="Any version.",
    rules=(legacy.TOO_OLD, legacy.TOO_NEW),
)(version_body)
obligation(
    "14.legacy.version.as-written",
    clauses=("14.legacy.version",),
    statement="As 14.legacy.version, but later versions are taken too.",
    functions=(legacy.check_version,),
    control=_CONTROL,
    assumptions="Any version.",
    switches={legacy.VERSION_UNBOUNDED},
    rules=(legacy.TOO_OLD, legacy.UNBOUNDED),
    finding="F14-045",
    refutes={_KNOWN},
)(version_body)

# --- FreeBSD's cheap round -------------------------------------------------------------------------

_UNSAID = "a descriptor without receive rings has no packets"


def look_body(p: Proof, look: Callable[..., Any]) -> None:
    cases = Cases(p, "looks")
    kinds = ((0, 0, 0), (0, 1, 0), (1, 2, 1), (1, 2, 0), (2, 2, 2))  # cur, tail, and head that was accepted
    shapes: list[tuple[tuple[int, int, int], ...]] = [(), *((k,) for k in kinds)]
    shapes += [(a, b) for a in kinds for b in kinds]
    for tx, rx, want_tx, want_rx in every(p, "descriptors", shapes, shapes, (False, True), (False, True)):
        fd = poll.Bound(
            tuple(f"t{i}" for i in range(len(tx))), tuple(f"r{i}" for i in range(len(rx))), "", ""
        )
        cases.case(tx=tx, rx=rx, want_tx=want_tx, want_rx=want_rx)
        words: dict[tuple[Any, ...], Any] = {}
        for names, rings in ((fd.tx, tx), (fd.rx, rx)):
            for name, (cur, tail, rhead) in zip(names, rings, strict=True):
                words |= {(name, "cur"): cur, (name, "tail"): tail, (name, "head"): cur}
                words[name, "kring"] = Kring(4, 0, 3, rhead, rhead, 3)
        done = cases.run(look, fd, want_tx, want_rx, p.switches, memory=words, do={})
        room, packets = done.result
        cases.goal("unseen room is enough", room == (want_tx and any(c != t for c, t, _ in tx)))
        seen = bool(rx) and all(c != t and c == h for c, t, h in rx)
        if rx or not want_rx:
            cases.goal(
                "packets are there when each ring has some and nothing to give back",
                packets == (want_rx and seen),
            )
        else:
            cases.goal(_UNSAID, not packets)
        told = (poll.LOCK_FREE_TX in done.fired, poll.LOCK_FREE_RX in done.fired)
        cases.goal("the rules say so", told == (room, want_rx and seen))
    cases.end()


_looks = partial(
    obligation,
    clauses=("14.poll.ready", "14.poll.syncs-ready"),
    functions=(poll.look,),
    control=Control(
        "room is never seen",
        lambda fd, want_tx, want_rx, switches: poll.look(fd, False, want_rx, switches),
        goal="unseen room is enough",
    ),
    bounds="Up to two rings in each direction: with and without room, something unseen, slots to give back.",
)
_looks(
    "14.poll.look",
    statement="""FreeBSD's cheap round tells of room that is unseen, and of packets when every receive ring
    has some and no slot to give back; without receive rings there are none.""",
    rules=(poll.LOCK_FREE_TX, poll.LOCK_FREE_RX),
)(look_body)
_looks(
    "14.poll.look.as-written",
    statement="As 14.poll.look, but a descriptor without receive rings always has packets.",
    switches={poll.READY_WITHOUT_RINGS},
    rules=(poll.LOCK_FREE_TX, poll.LOCK_FREE_RX, poll.NO_RINGS),
    finding="F14-037",
    refutes={_UNSAID},
)(look_body)
