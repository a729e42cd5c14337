"""Judges traces of generation 2011: the model repeats every call and must agree in everything seen.

Generation 2011 leaves nothing to chance in its recordings, so there is one allowed state at any time:
the model's, in the reading that the manifest's deviations name. The first difference is a violation of
the clause whose rule decided that word; nothing is judged after it. A deviation is listed once, at the
first step that would have gone differently without it.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from netmap_reference.core.step import RULES
from netmap_spec import clauses

from ..manifest import Manifest
from ..oracle.verdict import DEVIATION, FINAL, HANG, NOT_MODELLED, VIOLATION, Finding, Judgement, verdict
from ..picture import RingPicture
from ..trace import Call, Event, Header, Return, Trace
from .calls2011 import NotModelled
from .replay2011 import Difference, Replay, compare, differences

#: Rules that move the kernel's positions.
_POSITIONS = (
    *("2011/host/from_host/", "2011/host/to_host/", "2011/interrupts/start/", "2011/interrupts/reset/"),
    *("2011/sync/take/", "2011/sync/give/", "2011/nic/", "2011/register/if_new/first"),
)
_SLOTS = (
    *("2011/ring/reinit/slot-bad", "2011/nic/txsync/", "2011/nic/rxsync/"),
    *("2011/interrupts/start/put", "2011/memory/new_bufs"),
)
#: Which rules decide a word that differs: a pattern of its path, prefixes of rule ids, best first.
_DECIDES = (
    (r"kernel\.mem\.objs", ("2011/memory/carve", "2011/memory/release", "2011/memory/alloc")),
    (r"kernel\.mem\.(free|bitmap)", ("2011/memory/new_bufs", "2011/memory/free_buf", "2011/register/dtor")),
    (r"hwofs", ("2011/interrupts/reset", "2011/ring/")),
    (r"\.ring\.ts|kernel\.now", ("2011/sync/ioctl/", "2011/poll/rx/")),
    (r"\.ring\.slots", _SLOTS),
    (r"\.ring\.", ("2011/ring/reinit/", *_POSITIONS)),
    (r"hwcur|hwavail", _POSITIONS),
    (r"\.wait", ("2011/poll/", "2011/host/from_host/recorded", "2011/interrupts/", "2011/register/dtor")),
    (r"\.nic\.|\.out", ("2011/nic/", "2011/sync/")),
    (r"\.up", ("2011/host/to_host",)),
    (r"fds", ("2011/register/",)),
    (r"refcount|refs|enabled|intercept", ("2011/register/", "2011/nic/register", "2011/control/")),
    (r"revents", ("2011/poll/",)),
)
#: The clause of an operation that fires no rule.
_QUIET = {
    "open": "2011.control.not-registered",
    "set": "2011.ring.positions",
    "slot": "2011.ring.positions",
    "bytes": "2011.ring.positions",
    "frame": "2011.driver.rx-import",
    "frames": "2011.driver.tx-slot",
    "mmap": "2011.control.mmap",
    "poll": "2011.poll.error",
    "env": "2011.driver.init",
}
#: The clause an event is about: its first words, as a pattern.
_EVENTS = (
    (r"VIOL malloc", "2011.memory.no-sleep-under-lock"),
    (r"VIOL mtx_lock", "2011.iface.locks-kept"),
    (r"SR .*", "2011.poll.record-ring"),
    (r"(SLEEP|WAKEUP) ", "2011.register.deleting"),
    (r"REGISTER ", "2011.register.mode"),
    (r"UP ", "2011.host.tx-up"),
    (r"LOG netmap_ring_reinit", "2011.ring.reinit-slots"),
    (r"LOG netmap_free_buf", "2011.pool.free"),
    (r"LOG netmap_free\b", "2011.memory.free-unknown"),
    (r"LOG netmap_reset", "2011.interrupt.reset"),
    (r"LOG netmap_set_ringid", "2011.register.selection"),
    (r"LOG netmap_start 1613", "2011.host.rx-full"),
    (r"LOG netmap_start 1617", "2011.host.rx-long"),
    (r"LOG netmap_if_new", "2011.iface.no-memory"),
    (r"LOG netmap_dtor_locked", "2011.register.last"),
    (r"LOG netmap_sync_to_host", "2011.host.tx-length"),
)
_RING = re.compile(r"ifs\.(?P<port>\w+)\.na\.(?P<side>[tr]x)\[(?P<index>\d+)\]")


class Oracle2011:
    """Takes a trace event by event; the interface of :class:`netmap_conformance.oracle.Oracle`."""

    def __init__(self, header: Header, manifest: Manifest | None = None, test: str = "") -> None:
        test = test or Path(header.source or header.title).name.split(".")[0]
        self.manifest = manifest
        self.test = test
        self.replay = Replay(header, manifest.switches(test) if manifest else frozenset())
        self.findings: list[Finding] = []
        self.rules: Counter[str] = Counter()
        self.steps = 0
        self._initial: dict[str, Any] | None = header.config.get("initial")
        self._calls: dict[int, tuple[Call, Return | None, tuple[str, ...]]] = {}
        self._now: dict[str, Any] = self.replay.state()
        self._before = self._now
        self._listed: set[str] = set()
        self._over = False

    def feed(self, event: Event) -> list[Finding]:
        """What this event adds to the findings."""
        if self._over:
            return []
        found = self._started() if self._initial is not None else []
        if not found:
            found = self._called(event) if isinstance(event, Call) else self._returned(event)
        self.findings += found
        self._over = any(finding.kind in FINAL for finding in found)
        return found

    def finish(self) -> Judgement:
        """The judgement of everything fed so far."""
        return Judgement(verdict(self.findings), self.findings, self.rules, self.steps)

    # --- one event ------------------------------------------------------------------------------

    def _started(self) -> list[Finding]:
        """The first state of a recording is that of a freshly loaded module."""
        initial, self._initial = self._initial, None
        for difference in differences(self._now, initial, "kernel"):
            start = Call(n=0, op="start")
            return [self._violation(start, difference, ("2011/module/load/ok",), initial)]
        return []

    def _called(self, call: Call) -> list[Finding]:
        if call.op == "settle":
            self._calls[call.n] = (call, None, ())
            return []
        self._before = self._now
        try:
            predicted = self.replay.call(call)
        except NotModelled as error:
            return [
                Finding(NOT_MODELLED, "", call.n, _words(call), "", "", reason=str(error), line=call.line)
            ]
        self._now = predicted.see.kernel if predicted.see is not None else self._now
        fired = tuple(self.replay.world.fired)
        self.rules.update(fired)
        self._calls[call.n] = (call, predicted, fired)
        return self._deviations(call, fired)

    def _returned(self, seen: Return) -> list[Finding]:
        call, predicted, fired = self._calls.pop(seen.of, (None, None, ()))
        if call is None:
            reason = f"a return of call {seen.of}, which was not made"
            return [Finding(NOT_MODELLED, "", seen.of, "return", "", "", reason=reason, line=seen.line)]
        self.steps += 1
        difference = compare(predicted, seen) if predicted is not None else None
        if difference is None:
            return []
        return [self._violation(call, difference, fired, seen.see.kernel if seen.see else None)]

    def _deviations(self, call: Call, fired: tuple[str, ...]) -> list[Finding]:
        """The as-written readings that made a difference for the first time."""
        found = []
        for rule in (RULES[name] for name in dict.fromkeys(fired)):
            if not rule.switch or rule.switch in self._listed or not self.replay.matters(rule.switch):
                continue
            self._listed.add(rule.switch)
            listed = self.manifest.deviation(rule.clause, self.test) if self.manifest else None
            found.append(
                Finding(
                    DEVIATION,
                    rule.clause,
                    call.n,
                    _words(call),
                    *_told(rule.clause),
                    deviation=rule.switch,
                    reason=listed.reason if listed else "",
                    link=listed.link if listed else "",
                    line=call.line,
                )
            )
        return found

    def _violation(
        self, call: Call, difference: Difference, fired: tuple[str, ...], kernel: dict[str, Any] | None
    ) -> Finding:
        clause = decided_by(difference, fired) or _QUIET.get(call.op, "2011.ring.positions")
        kind = HANG if difference.path == "hang" and difference.seen else VIOLATION
        names = _rings_of(difference.path, call)
        return Finding(
            kind,
            clause,
            call.n,
            _words(call),
            f"{difference.path} = {difference.allowed!r}",
            f"{difference.path} = {difference.seen!r}",
            line=call.line,
            before=pictures(self._before, names),
            after=pictures(kernel, names),
        )


def judge(trace: Trace, manifest: Manifest | None = None) -> Judgement:
    """Judge a whole trace of generation 2011; without a manifest by the contract alone."""
    header = trace.header
    if not header.source and trace.path:
        header.source = Path(trace.path).name
    oracle = Oracle2011(header, manifest)
    for event in trace.events:
        oracle.feed(event)
    return oracle.finish()


def decided_by(difference: Difference, fired: tuple[str, ...]) -> str:
    """The clause of the fired rule that decided what differs; empty when no rule fired."""
    if difference.path.startswith("events"):
        for event in (difference.seen, difference.allowed):
            words = " ".join(map(str, event)) if isinstance(event, list) else ""
            for pattern, clause in _EVENTS:
                if re.match(pattern, words):
                    return clause
    for pattern, prefixes in _DECIDES:
        if re.search(pattern, difference.path):
            for prefix in prefixes:
                for name in reversed(fired):
                    if name.startswith(prefix):
                        return RULES[name].clause
    return RULES[fired[-1]].clause if fired else ""


def _told(clause: str) -> tuple[str, str]:
    """What a clause promises and what the code does as written: one sentence each of its text."""
    text = " ".join(clauses.load()[clause].text.split())
    promise, _, written = text.partition("As written")
    return promise.split(". ")[0].rstrip(". "), f"as written{written.split('. ')[0].rstrip('. ')}"


def _words(call: Call) -> str:
    """The call as a line for people."""
    args = " ".join(f"{key}={value}" for key, value in call.args.items() if key != "hex")
    return " ".join(word for word in (call.op, call.fd, args) if word)


# --- pictures -----------------------------------------------------------------------------------


def _rings_of(path: str, call: Call) -> list[tuple[str, str, int]]:
    """Interface, direction and index of the ring a difference or a call is about."""
    at = _RING.search(path)
    if at:
        return [(at["port"], at["side"], int(at["index"]))]
    ring = str(call.args.get("ring", ""))
    if call.args.get("port") and ring[:2] in ("tx", "rx"):
        return [(call.args["port"], ring[:2], int(ring[2:]))]
    return []


def pictures(kernel: dict[str, Any] | None, names: list[tuple[str, str, int]]) -> tuple[RingPicture, ...]:
    """The named rings in a recorded state; those that are not there are left out."""
    found = []
    for port, side, index in names:
        try:
            kring = (kernel or {})["ifs"][port]["na"][side][index]
            found.append(_picture(f"{port}:{side}{index}", kring))
        except (KeyError, TypeError, IndexError):
            continue
    return tuple(found)


def _picture(name: str, kring: dict[str, Any]) -> RingPicture:
    """A ring: the application's `cur`, the kernel's `hwcur`, and the end of its slots (`hwcur + hwavail`)."""
    ring, n = kring["ring"], kring["nslots"]
    held = {(kring["hwcur"] + i) % n for i in range(max(0, min(kring["hwavail"], n)))}
    slots = tuple(
        ("user" if i in held else "kernel", index, length, flags)
        for i, (index, length, flags) in enumerate(ring["slots"])
    )
    marks = {"cur": ring["cur"], "hwcur": kring["hwcur"], "hwtail": (kring["hwcur"] + kring["hwavail"]) % n}
    return RingPicture(name, n, marks, slots, f"avail {ring['avail']}, hwavail {kring['hwavail']}")
