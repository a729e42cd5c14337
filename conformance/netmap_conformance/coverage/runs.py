"""Scenarios run for coverage: which rules fired, and what a copy of the model did in place of the model.

Generation 2011 leaves nothing open, so a run is the list of everything every call returned and left behind,
and two runs are alike or not. Generation 14's runs are judged by the oracle, which knows what is allowed.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import msgspec
from netmap_reference.core.outcome import NotModelled as RuleMissing
from netmap_reference.gen14.readings import FREEBSD_ONLY
from netmap_spec import clauses

from .. import manifest as manifests
from .. import recordings, runner
from ..errors import UserError
from ..expressions import ExpressionError
from ..oracle import Judgement, judge
from ..recordings.calls2011 import NotModelled
from ..recordings.replay2011 import Replay, world_config
from ..scenarios import scenario_id
from ..targets.base import TargetError
from ..targets.reference import ReferenceTarget
from ..trace import Header, Port, Trace

CONTRACT, AS_WRITTEN, LAZY = "contract", "as-written", "contract, lazy"
#: The contract, but for the deviations of code that is compiled for FreeBSD alone, on a system that answers a
#: poll from the shared page where it can.
FREEBSD = "contract, FreeBSD"
READINGS = {"2011": (CONTRACT, AS_WRITTEN), "14": (CONTRACT, LAZY, AS_WRITTEN)}
#: As written, except for one deviation.
WITHOUT = f"{AS_WRITTEN} without "
#: The manifests whose recordings are those of a generation's code as written.
WRITTEN = {"2011": "netmap-2011", "14": "linux-netmap"}
#: The one that lists every deviation of the model, those of native drivers too.
EVERYTHING = "linux-netmap-native-drivers"


def readings(scenario: Trace) -> list[str]:
    """The ways in which a scenario is run: one of 2011 also without each deviation of its clauses.

    Real code may have some of the deviations and not others. What is recorded of generation 14 is Linux, so
    that a scenario about something that differs on FreeBSD is run as there too.
    """
    found = list(READINGS[scenario.header.generation])
    known = clauses.load()
    about = [known[c].deviations for c in scenario.header.clauses if c in known]
    if any(FREEBSD_ONLY & set(deviations) for deviations in about):
        found.append(FREEBSD)
    if scenario.header.generation == "2011":
        found += dict.fromkeys(WITHOUT + switch for deviations in about for switch in deviations)
    return found


def load_model(generation: str) -> ModuleType:
    """Import everything of a generation that has rules."""
    return importlib.import_module(f"netmap_reference.gen{generation}.world")


def switches(generation: str, reading: str) -> frozenset[str]:
    """The switches of a reading: none, or all that the generation has."""
    if reading == FREEBSD:
        return FREEBSD_ONLY
    if not reading.startswith(AS_WRITTEN):
        return frozenset()
    module = importlib.import_module(f"netmap_reference.gen{generation}.readings")
    found: frozenset[str] = module.AS_WRITTEN if generation == "2011" else module.LINUX
    return found - {reading.removeprefix(WITHOUT)}


# --- generation 2011 ----------------------------------------------------------------------------

#: One call: what it returned and left, the rules it fired.
Seen = tuple[Any, tuple[str, ...]]


def steps2011(scenario: Trace, reading: str, model: ModuleType | None = None) -> Iterator[Seen]:
    """Run a scenario call by call on the model, or on a copy's ``gen2011.world``.

    Once the machine is dead, what comes before the next reset is left out.
    """
    asked = switches("2011", reading)
    replay = Replay(scenario.header, asked)
    if model is not None:
        replay.world = model.World(world_config(scenario.header), asked)
    for call in scenario.calls():
        if call.op == "settle" or (replay.world.dead and call.args.get("name") != "reset"):
            continue
        try:
            done = replay.call(call)
        except NotModelled as error:
            raise UserError(f"{scenario_id(scenario)}:{call.line}: {error}") from None
        yield msgspec.to_builtins(done), tuple(replay.world.fired)


def load_rules2011(scenario: Trace) -> Counter[str]:
    """The rules that booting the scenario's machine fires, before its first call."""
    return Counter(Replay(scenario.header, frozenset()).world.coverage)


# --- generation 14 ------------------------------------------------------------------------------


class _Copy(ReferenceTarget):
    """The reference target over another model, in another reading."""

    def __init__(
        self, manifest: manifests.Manifest, policy: str, asked: frozenset[str], model: ModuleType
    ) -> None:
        super().__init__(manifest, policy)
        self._asked = asked
        self._model = model

    def start(self, header: Header) -> None:
        super().start(header)
        self._world = self._model.World([self._config(p) for p in header.ports], self._asked)

    def _config(self, port: Port) -> Any:
        return self._model.PortConfig(**{name: getattr(port, name) for name in Port.__struct_fields__})


def _of_freebsd() -> list[manifests.Deviation]:
    """The deviations of FreeBSD, as a manifest lists them."""
    return [
        manifests.Deviation(clause=clause.id, switch=switch, reason="compiled for FreeBSD alone")
        for clause in clauses.load().values()
        for switch in sorted(FREEBSD_ONLY & set(clause.deviations))
    ]


def judged14(scenario: Trace, reading: str, model: ModuleType | None = None) -> Judgement:
    """Run a scenario on the model or a copy of it, judged by the oracle; as written with every deviation.

    Its rules are those that the oracle fired and those of the moves that no call tells of."""
    name = EVERYTHING if reading == AS_WRITTEN else "reference"
    manifest = manifests.load(name)
    if reading == FREEBSD:
        manifest = msgspec.structs.replace(manifest, deviations=_of_freebsd())
    policy = "lazy" if reading in (LAZY, FREEBSD) else "eager"
    target = _Copy(manifest, policy, switches("14", reading), model or load_model("14"))
    judged = runner.run(target, scenario, manifest, build=None)[1]
    judged.rules.update(target.moves)
    return judged


# --- rules --------------------------------------------------------------------------------------


def fired(scenario: Trace, reading: str) -> Counter[str]:
    """The rules that a scenario fires in one reading."""
    if scenario.header.generation == "2011":
        counts = load_rules2011(scenario)
        for _, rules in steps2011(scenario, reading):
            counts.update(rules)
        return counts
    try:
        return Counter(judged14(scenario, reading).rules)
    except (ExpressionError, TargetError, RuleMissing) as error:
        if reading == AS_WRITTEN:
            return Counter()  # a scenario about what the contract repairs may not be able to go on
        raise UserError(f"{scenario_id(scenario)}: {error}") from None


def recorded(generation: str) -> Iterable[Counter[str]]:
    """The rules that each recording of a generation fires, judged with the manifest of what was recorded."""
    folder = recordings.DATA / generation
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".jsonl", ".gz")):
        trace = recordings.convert(path)
        manifest = manifests.load(trace.header.target or WRITTEN[generation])
        yield Counter(judge(trace, manifest).rules)
