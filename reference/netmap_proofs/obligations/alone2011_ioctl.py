"""Generation 2011: the two sync ioctls as whole calls, carried out alone: which rings they sync, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netmap_reference.core.effects import Do, Protocol
from netmap_reference.gen2011 import sync

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, every
from ..schemas.alone import Words

Make = Callable[..., Protocol]
_B = (False, True)
_Q = 2  # hardware pairs

_SELECTED = "a selection that changes meanwhile is synced as it was"


def _to_host_rings(memory: Words, args: tuple[Any, ...]) -> int:
    memory["priv", "qfirst"], memory["priv", "qlast"] = _Q, _Q + 1
    return 0


def ioctl_body(p: Proof, sync_ioctl: Make) -> None:
    cases = Cases(p, "calls")
    for tx, first, last, no_stamp, verbose, moves in every(
        p, "combinations", _B, (0, 1, 2), (1, 2, 3), _B, (1, 0x20), _B
    ):
        if not first < last or (first == _Q) != (last == _Q + 1):
            continue
        cases.case(transmit=tx, selection=(first, last), no_timestamp=no_stamp, moves=moves)
        words: Words = {
            ("sysctl", "verbose"): verbose,
            ("sysctl", "no_timestamp"): int(no_stamp),
            ("priv", "qfirst"): first,
            ("priv", "qlast"): last,
        }
        names = ("txsync", "rxsync", "sync_to_host", "sync_from_host", "microtime", "log")
        do: dict[str, Any] = {name: (lambda memory, args: 0) for name in names}
        do["selection"] = lambda memory, args: (memory["priv", "qfirst"], memory["priv", "qlast"])
        if moves:  # another thread binds the descriptor to the host rings while the first ring is synced
            do["txsync"] = do["rxsync"] = _to_host_rings
        done = cases.run(sync_ioctl, tx, _Q, p.switches, memory=words, do=do)
        told = (sync.SELECTION_ONCE in done.fired, sync.SELECTION_AGAIN in done.fired)
        again = sync.RINGID_UNLOCKED in p.switches
        cases.goal("the rules say so", told == (not again, again))
        calls = [(e.what, *e.args) for e in done.of(Do) if e.what.endswith(("sync", "host"))]
        if first == _Q:
            cases.goal("the host rings are synced", calls == [("sync_to_host" if tx else "sync_from_host",)])
            continue
        side = "txsync" if tx else "rxsync"
        wanted = [(side, q, True) for q in range(first, last)]
        cases.goal(_SELECTED if moves else "every selected ring is synced once, in order", calls == wanted)
        asked = {q for _, q, _ in calls}
        cases.goal("as written rings are asked for in order, from the first on", min(asked) == first)
        if moves and sync.RINGID_UNLOCKED in p.switches:
            continue
        stamps = [] if tx or no_stamp else [f"rx{q}" for q in range(first, last)]
        cases.goal(
            "received rings are stamped unless the sysctl says no",
            [a[0] for a in done.done("microtime")] == stamps,
        )
        logs = 2 * (last - first) if tx and verbose & 0x20 else 0
        cases.goal("logged when asked for", len(done.done("log")) == logs)
    cases.end()


obligation(
    "2011.sync.ioctl",
    clauses=("2011.control.sync", "2011.control.timestamp", "2011.control.selection"),
    statement="""A sync ioctl syncs every ring of the selection once, in order, or the host's; received rings
    are stamped unless the sysctl says no.""",
    functions=(sync.sync_ioctl,),
    control=Control(
        "a selection is begun at ring 0",
        lambda tx, num_queues, switches: _from_zero(sync.sync_ioctl(tx, num_queues, switches)),
    ),
    bounds="Two hardware pairs and the host's, every selection.",
    rules=(sync.ALL_RINGS, sync.HOST_RINGS, sync.STAMP, sync.STAMP_OFF, sync.SELECTION_ONCE),
)(ioctl_body)


def _from_zero(protocol: Protocol) -> Protocol:
    answer: Any = None
    try:
        while True:
            effect = protocol.send(answer)
            answer = yield effect
            if effect == Do("selection") and answer[0] < _Q:
                answer = (0, answer[1])
    except StopIteration as end:
        return end.value


obligation(
    "2011.sync.ioctl.as-written.stamps",
    clauses=("2011.control.timestamp",),
    statement="As 2011.sync.ioctl, but received rings are stamped whatever the sysctl says.",
    functions=(sync.sync_ioctl,),
    control=Control(
        "as written, and a selection is begun at ring 0",
        lambda tx, num_queues, switches: _from_zero(sync.sync_ioctl(tx, num_queues, switches)),
        goal="every selected ring is synced once, in order",
    ),
    bounds="Two hardware pairs and the host's, every selection.",
    switches={sync.ALWAYS_STAMPS},
    rules=(sync.STAMP_UNASKED,),
    finding="F2011-020",
    refutes={"received rings are stamped unless the sysctl says no"},
)(ioctl_body)

obligation(
    "2011.sync.ioctl.as-written.selection",
    clauses=("2011.control.selection",),
    statement="As 2011.sync.ioctl, but the selection is read again before every ring.",
    functions=(sync.sync_ioctl,),
    control=Control(
        "as written, and nothing is logged",
        lambda tx, num_queues, switches: without(
            sync.sync_ioctl(tx, num_queues, switches), lambda e: isinstance(e, Do) and e.what == "log"
        ),
        goal="logged when asked for",
    ),
    bounds="As 2011.sync.ioctl; a descriptor that is bound to the host rings while its first ring is synced.",
    switches={sync.RINGID_UNLOCKED},
    rules=(sync.ALL_RINGS, sync.HOST_RINGS, sync.SELECTION_AGAIN),
    finding="F2011-019",
    refutes={_SELECTED},
)(ioctl_body)
