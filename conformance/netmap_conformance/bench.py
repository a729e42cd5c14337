"""How fast the parts are: model, oracle, proofs, C ring functions, the device in user space.

Every figure is the median of several runs of this one process on this one machine; ratios are formed
from figures of the same run only. No verdict rests on any of them. What cannot be measured here is
listed with its reason.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import ABSENT, UserError

RUNS = 5
#: A run repeats its operation until it has lasted so long, in seconds.
LEAST_S = 0.2


class Absent(Exception):
    """A thing cannot be measured here; one line."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """``value`` is the median of ``runs``, in ``unit``; ``low`` and ``high`` are their extremes."""

    id: str
    unit: str
    value: float
    low: float
    high: float
    runs: int


@dataclass(slots=True)
class Bench:
    """What was measured, what relates to what, and what could not be measured."""

    measurements: list[Measurement] = field(default_factory=list)
    ratios: list[dict[str, Any]] = field(default_factory=list)
    absent: list[dict[str, str]] = field(default_factory=list)

    def value(self, id: str) -> float | None:
        """The median of a measurement of this run."""
        return next((m.value for m in self.measurements if m.id == id), None)

    def to_json(self) -> dict[str, Any]:
        """The document that ``netmap_spec/schemas/bench.schema.json`` describes."""
        return {
            "machine": machine(),
            "measurements": [asdict(m) for m in self.measurements],
            "ratios": self.ratios,
            "absent": self.absent,
        }


def machine() -> dict[str, Any]:
    """Where this runs; ``cpus`` are those this process may use."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu(),
        "cpus": cpus,
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def summed(id: str, unit: str, values: list[float]) -> Measurement:
    """The median and the extremes of several runs."""
    return Measurement(id, unit, statistics.median(values), min(values), max(values), len(values))


def rate(id: str, unit: str, work: Callable[[], int], runs: int) -> Measurement:
    """Operations a second of ``work``, which does some and says how many. One run before is not counted."""
    work()
    found = []
    for _ in range(runs):
        count, started = 0, time.perf_counter()
        while True:
            count += work()
            took = time.perf_counter() - started
            if took >= LEAST_S:
                break
        found.append(count / took)
    return summed(id, unit, found)


# --- the parts ------------------------------------------------------------------------------------


def model_prologue(runs: int) -> Iterator[Measurement]:
    """The model's ``tx_prologue``, one accepted and one rejected call an iteration."""
    from netmap_reference.gen14 import ring

    kring = ring.Kring(1024, 100, 99, 200, 200, 99)
    users = (ring.UserRing(300, 300, 99), ring.UserRing(150, 150, 99))

    def work() -> int:
        for _ in range(500):
            ring.tx_prologue(kring, users[0])
            ring.tx_prologue(kring, users[1])
        return 1000

    yield rate("model tx_prologue", "op/s", work, runs)


def model_pipe(runs: int) -> Iterator[Measurement]:
    """The reference device: one packet sent and received over a pipe, two syncs."""
    from netmap_reference.core.choice import eager
    from netmap_reference.gen14.world import World

    world = World()
    for fd, name in (("A", "x{1"), ("B", "x}1")):
        world.open(fd)
        opened = world.register(fd, {"name": name}, eager)
        if not opened.outcome.ok or not world.mmap(fd).outcome.ok:
            raise Absent(f"the model does not open a pipe: {opened.outcome}")
    tx, rx = world.ring("A", "tx0"), world.ring("B", "rx0")

    def work() -> int:
        for _ in range(20):
            tx.head = tx.cur = (tx.head + 1) % tx.num_slots
            world.txsync("A", eager)
            world.rxsync("B", eager)
            rx.head = rx.cur = rx.tail
            world.rxsync("B", eager)
        return 60

    yield rate("model sync", "op/s", work, runs)


def oracle_steps(runs: int, scenario: str = "pipe-full") -> Iterator[Measurement]:
    """Running a scenario on the model, and judging the recorded run; steps a second."""
    from .manifest import Manifest
    from .oracle import judge
    from .runner import run
    from .scenarios import load
    from .targets import open_target

    manifest = Manifest(name="reference", target="reference")
    chosen = load("14", scenario)[0]
    target = open_target("reference", manifest)
    try:
        trace, told = run(target, chosen, manifest, build=None)
    finally:
        target.stop()
    if told.verdict != "PASS":
        raise Absent(f"scenario {scenario} ends with {told.verdict}")

    def work() -> int:
        return judge(trace, manifest).steps

    yield rate("oracle step", "step/s", work, runs)


def proofs(runs: int, pattern: str = "14.ring.*prologue") -> Iterator[Measurement]:
    """The proofs of the prologues, from nothing, in one process; seconds for all of them."""
    try:
        from netmap_proofs import suite
    except ModuleNotFoundError as error:
        if error.name != "z3":
            raise
        raise Absent("z3 is not installed: pip install 'netmap-verify[prove]'") from None
    chosen = suite.select(pattern)
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        suite.prove(chosen, fresh=True, folder=None)
        seconds.append(time.perf_counter() - started)
    yield summed(f"proofs {pattern} ({len(chosen)})", "s", seconds)


def native_rings(runs: int) -> Iterator[Measurement]:
    """The C ring functions, measured by ``ring_bench`` in C: nanoseconds an operation."""
    from netmap_native import NotBuilt
    from netmap_native._library import file

    try:
        program = file("ring_bench")
    except NotBuilt as error:
        raise Absent(str(error)) from None
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        done = subprocess.run([str(program)], capture_output=True, text=True)
        if done.returncode:
            raise Absent(f"{program.name} ended with {done.returncode}: {done.stderr.strip()[:200]}")
        measured = json.loads(done.stdout)
        found.setdefault("C empty call", []).append(float(measured["empty_ns"]))
        for each in measured["functions"]:
            found.setdefault(f"C {each['name']}", []).append(float(each["ns"]))
    for id, values in found.items():
        yield summed(id, "ns/op", values)


def native_device(runs: int) -> Iterator[Measurement]:
    """Packets of 60 bytes a second between two ports of the device in user space."""
    from .rate import measure, user_ports
    from .targets.base import TargetError
    from .targets.entry import native

    try:
        device: Any = native("user")
    except TargetError as error:
        raise Absent(str(error)) from None
    try:
        device.configure(user_ports())
        values = [measure(device, "nma", "nmb", 100_000).rx_pps for _ in range(runs)]
    finally:
        device.stop()
    yield summed("user-space device", "packet/s", values)


PARTS: dict[str, Callable[[int], Iterator[Measurement]]] = {
    "model prologue": model_prologue,
    "model pipe": model_pipe,
    "oracle": oracle_steps,
    "proofs": proofs,
    "C ring functions": native_rings,
    "user-space device": native_device,
}


def run(runs: int = RUNS, told: Callable[[str], None] = lambda part: None) -> Bench:
    """Measure every part, ``runs`` times each. Raises :class:`UserError` when not one can be."""
    bench = Bench()
    for name, part in PARTS.items():
        told(name)
        try:
            bench.measurements += part(runs)
        except Absent as error:
            bench.absent.append({"id": name, "reason": str(error)})
    if not bench.measurements:
        raise UserError("nothing could be measured here", ABSENT)
    bench.ratios = list(_ratios(bench))
    return bench


def _ratios(bench: Bench) -> Iterator[dict[str, Any]]:
    """What one part costs in terms of another, of the same run."""
    model, sync, step = (bench.value(i) for i in ("model tx_prologue", "model sync", "oracle step"))
    in_c = bench.value("C tx_prologue")
    if model and in_c:
        yield _ratio("tx_prologue in C over the model's, operations a second", 1e9 / in_c / model)
    if sync and step:
        yield _ratio("a sync of the model over a step judged by the oracle", sync / step)
    packets = bench.value("user-space device")
    if packets and sync:
        yield _ratio("packets of the user-space device over syncs of the model", packets / sync)


def _ratio(text: str, value: float) -> dict[str, Any]:
    return {"text": text, "value": round(value, 3)}
