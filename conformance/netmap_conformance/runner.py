"""Runs one scenario on one target and judges it step by step.

Each call is written to disk before it is made, resolved against the live rings, executed, recorded
and fed to the oracle; the first violation ends the run. ``settle`` becomes syncs of every bound
descriptor until two passes change nothing and the target says that its environment is quiet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from . import expressions
from .manifest import Manifest
from .oracle import Finding, Judgement, oracle_for
from .oracle.verdict import INCONCLUSIVE
from .scenarios import SETTLE, scenario_id
from .targets.base import Target, TargetError
from .trace import Call, Event, Header, Return, Trace, write

#: Syncs of everything that ``settle`` may take, and how many of them may change nothing, before the
#: environment counts as restless.
PASSES = 200
UNCHANGED = 12
BUILD = Path("build")
FAILURES = "failures"
#: Findings that end a run.
FATAL = frozenset({"VIOLATION", "STALLED", "HANG", "NOT_MODELLED", "INCONCLUSIVE"})


def run(
    target: Target,
    scenario: Trace,
    manifest: Manifest | None = None,
    *,
    build: Path | None = BUILD,
    on_step: Callable[[Call], None] | None = None,
) -> tuple[Trace, Judgement]:
    """Run ``scenario`` on a fresh environment of ``target``; (the recorded trace, its judgement).

    ``build`` is the folder that keeps the last stimulus and failing runs, ``None`` keeps nothing.
    Raises :class:`TargetError` when the target cannot be started, or breaks its own protocol.
    """
    runner = Runner(target, scenario, manifest or Manifest(name=target.name), build)
    runner.on_step = on_step
    judgement = runner.run()
    if build is not None and judgement.verdict not in ("PASS", "DEVIATION"):
        runner.keep(build / FAILURES)
    return runner.trace(), judgement


class Runner:
    """One run. ``events`` is what was recorded so far."""

    def __init__(self, target: Target, scenario: Trace, manifest: Manifest, build: Path | None) -> None:
        self.target = target
        self.scenario = scenario
        self.manifest = manifest
        initial: Literal["known", "unknown"] = "known" if "fresh" in target.capabilities() else "unknown"
        self.header = msgspec.structs.replace(scenario.header, target=target.name, initial=initial)
        self.events: list[Event] = []
        self.oracle = oracle_for(self.header, manifest, test=scenario_id(scenario))
        self.on_step: Callable[[Call], None] | None = None
        self._processes = {"main"}
        self._bound: list[tuple[str, str]] = []
        self._restless: Call | None = None
        self._extra: dict[str, list[int]] = {}
        self._sleeping: dict[int, str] = {}
        self._n = 0
        self._stop = False
        self._dead = False
        self._disk = _LastStimulus(build, self.header) if build is not None else None

    def trace(self) -> Trace:
        """What was done and seen."""
        return Trace(header=self.header, events=list(self.events), path=self.scenario.path)

    def keep(self, folder: Path) -> Path | None:
        """Store the run as a trace under ``folder``; ``None`` when it cannot be written."""
        path = folder / kept_name(self.trace())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write(self.trace(), path)
        except OSError:
            return None
        return path

    def run(self) -> Judgement:
        """Every call in order, until the end or the first fatal finding."""
        self.start()
        try:
            for call in self.scenario.calls():
                if self.stopped:
                    break
                self.step(call)
        finally:
            self.close()
        return self.finish()

    @property
    def stopped(self) -> bool:
        """Was something found after which nothing can be judged?"""
        return self._stop

    def start(self) -> None:
        """A fresh environment. Raises :class:`TargetError`."""
        self.target.start(self.header)

    def finish(self) -> Judgement:
        """The judgement of everything that was done."""
        if not self._stop:
            self._collect()
        judged = self.oracle.finish()
        if self._restless is not None and judged.verdict in ("PASS", "DEVIATION"):
            judged.findings.append(
                Finding(
                    INCONCLUSIVE,
                    "",
                    self._restless.n,
                    self._restless.text or "settle",
                    "an environment that comes to rest",
                    "one that does not",
                    reason="the target never says that its environment is quiet",
                    line=self._restless.line,
                )
            )
            judged.verdict = INCONCLUSIVE
        return judged

    def close(self) -> None:
        """Let go of the file of last stimuli."""
        if self._disk is not None:
            self._disk.close()

    # --- one step -------------------------------------------------------------------------------

    def step(self, call: Call) -> None:
        """One call of the scenario; ``settle`` is many."""
        if call.op == "settle":
            self._settle(call)
        else:
            self.execute(call)

    def execute(self, call: Call) -> Return | None:
        """Make one call and record it; its return, ``None`` while it sleeps."""
        call = msgspec.structs.replace(call, n=self._next())
        if self.on_step is not None:
            self.on_step(call)
        resolved = call
        if not all(isinstance(v, int) for v in call.args.values()):
            args = expressions.resolve(
                call.op,
                call.fd,
                call.args,
                partial(self.target.look, actor=call.actor),
                self._extra_buffer,
                getattr(self.target, "address", expressions.no_address),
            )
            resolved = msgspec.structs.replace(call, args=args)
        if self._disk is not None:
            self._disk.put(resolved)
        self._record(call)
        if self._stop:
            return None
        if call.op == "exit":
            # Who ends by itself has first come back from what it slept in.
            self.target.call(msgspec.structs.replace(call, op="join"))
            self._collect()
        done = self.target.call(resolved)
        if done is None:
            self._sleeping[call.n] = call.actor
            return None
        if resolved.args != call.args:
            done.wrote = {k: v for k, v in resolved.args.items() if v != call.args.get(k)}
        self._record(done)
        self._follow(resolved, done)
        if not self._dead:
            self._collect()
        return done

    def _next(self) -> int:
        self._n += 1
        return self._n

    def _record(self, event: Event) -> list[Finding]:
        self.events.append(event)
        findings = self.oracle.feed(event)
        if any(f.kind in FATAL for f in findings):
            self._stop = True
        return findings

    def _collect(self) -> None:
        """Record the returns of sleepers that woke meanwhile."""
        for late in self.target.finished():
            self._sleeping.pop(late.of, None)
            self._record(late)

    def _follow(self, call: Call, done: Return) -> None:
        """Keep book of what ``settle`` and expressions need."""
        if done.fault or done.hang:
            self._stop = self._dead = True
        if done.errno or self._dead:
            return
        process = call.actor if call.actor in self._processes else "main"
        if call.op == "register":
            self._bound.append((process, call.fd))
        elif call.op == "dup" and (process, call.fd) in self._bound:
            self._bound.append((process, call.args["to"]))
        elif call.op == "fork":
            child = call.args["actor"]
            self._processes.add(child)
            self._bound += [(child, fd) for owner, fd in self._bound if owner == process]
        elif call.op == "close":
            self._bound = [b for b in self._bound if b != (process, call.fd)]
        elif call.op in ("exit", "kill"):
            gone = call.args.get("actor", call.actor)
            self._processes.discard(gone)
            self._sleeping = {n: actor for n, actor in self._sleeping.items() if actor != gone}
            self._bound = [b for b in self._bound if b[0] != gone]
        elif call.op == "mmap" and done.see is not None and (done.see.nifp or {}).get("ni_bufs_head"):
            self._extra[call.fd] = list((self.target.look(call.fd, call.actor).nifp or {}).get("extra", []))

    def _extra_buffer(self, fd: str, index: int) -> int:
        buffers = self._extra.get(fd, [])
        if index >= len(buffers):
            raise expressions.ExpressionError(f"{fd} got {len(buffers)} extra buffers, not {index + 1}")
        return buffers[index]

    # --- settle ---------------------------------------------------------------------------------

    def _settle(self, call: Call) -> None:
        """Sync everything until two passes change nothing and the environment is quiet."""
        last: dict[str, Any] = {}
        still = 0
        for _ in range(PASSES):
            changed = False
            for actor, fd in list(self._bound):
                if actor in self._processes and actor in self._sleeping.values():
                    continue  # who sleeps calls nothing else
                for op in ("txsync", "rxsync"):
                    done = self.execute(Call(n=0, op=op, fd=fd, actor=actor, text=SETTLE, line=call.line))
                    if self._stop:
                        return
                    if done is not None and done.see is not None:
                        changed = changed or bool(done.see.slots) or last.get(actor + fd) != done.see.rings
                        last[actor + fd] = done.see.rings
            still = 0 if changed else still + 1
            if still >= 2 and self.target.quiet():
                self.execute(call)
                return
            if still >= UNCHANGED:
                break
        # Nothing is due in an environment that does not come to rest; what is done in it can be judged.
        self._restless = self._restless or msgspec.structs.replace(call, n=self._n)


class _LastStimulus:
    """``build/last-stimulus.jsonl``: the scenario up to the call that is being made."""

    def __init__(self, build: Path, header: Header) -> None:
        self._fd = -1
        with contextlib.suppress(OSError):
            build.mkdir(parents=True, exist_ok=True)
            path = build / "last-stimulus.jsonl"
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.write(self._fd, msgspec.json.encode(header) + b"\n")

    def put(self, call: Call) -> None:
        """One write call: it survives the death of this process, and is cheap."""
        if self._fd >= 0:
            os.write(self._fd, msgspec.json.encode(call) + b"\n")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def kept_name(trace: Trace) -> str:
    """What a failing run of a scenario on a target is called."""
    return f"{Path(trace.path or 'scenario').name.split('.')[0]}.{_safe(trace.header.target)}.jsonl"


def kept_path(build: Path, trace: Trace) -> Path:
    """Where a failing run was kept, if it could be."""
    return build / FAILURES / kept_name(trace)


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:40]


__all__ = ["Runner", "TargetError", "kept_name", "kept_path", "run"]
