"""Plant one mutant in a copy of its target and let the scenarios look for it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from .. import manifest as manifests
from .. import runner
from ..expressions import ExpressionError
from ..oracle import Finding
from ..scenarios import scenario_id
from ..targets import Target, TargetError, served
from ..trace import Trace
from . import Mutant, TeethError, patched, root

KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"
#: Kinds of findings that kill, if they name a clause.
KILLS = frozenset({"VIOLATION", "STALLED", "HANG"})
#: What the device in user space consists of.
PRODUCTS = ("libnetmap_core.so", "libnetmap_user.so", "nm-broker")
#: A mutant that hangs is waited for this long, seconds: no verdict on speed, the end of waiting.
WATCHDOG_S = 10.0


@dataclass
class Kill:
    """What became of one mutant. ``found`` are the findings that killed it, by scenario."""

    mutant: Mutant
    status: str
    found: dict[str, Finding] = field(default_factory=dict)
    ran: int = 0

    @property
    def clauses(self) -> list[str]:
        """The clauses that were named, each once."""
        return list(dict.fromkeys(f.clause for f in self.found.values()))

    def to_json(self) -> dict[str, Any]:
        """As ``teeth.schema.json`` wants it."""
        return {
            "id": self.mutant.id,
            "clause": self.mutant.clause,
            "status": self.status,
            "by": list(self.found),
            "reason": self.mutant.equivalent or self.mutant.reason,
            "target": self.mutant.target,
            "defect": self.mutant.defect,
            "found": self.clauses,
            "scenarios": self.ran,
        }


@contextmanager
def planted(mutant: Mutant | None, target: str) -> Iterator[dict[str, str]]:
    """A copy of a target with the mutant in it (``None``: unchanged); the variables that make it be used.

    Raises :class:`TeethError` when the copy does not compile.
    """
    with tempfile.TemporaryDirectory(prefix="netmap-teeth-") as folder:
        here = Path(folder)
        source = root(target)
        copy = here / source.name
        ignored = shutil.ignore_patterns("__pycache__", "tests", "*.pyc")
        shutil.copytree(source, copy, ignore=ignored)
        if mutant is not None:
            (copy / mutant.file).write_text(patched(mutant), encoding="utf-8")
        if target == "reference":
            yield {"PYTHONPATH": str(here)}
            return
        build = here / "build"
        wanted = [str(build / name) for name in PRODUCTS]
        made = subprocess.run(
            ["make", "-s", "-j2", "-C", str(copy), f"BUILD={build}", "CFLAGS=-O1 -Wno-error", *wanted],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            said = (made.stderr.strip() or made.stdout.strip()).splitlines()
            what = mutant.id if mutant else "the unchanged copy"
            raise TeethError(f"{target}: {what} does not compile: {said[0] if said else 'make failed'}")
        yield {"NETMAP_VERIFY_LIB": str(build)}


def hunt(
    mutant: Mutant | None,
    target: str,
    scenarios: list[Trace],
    everything: bool = False,
    told: Callable[[str], None] = lambda scenario: None,
) -> Kill:
    """Run the scenarios that are about the mutant's clause, then the others, until one kills it.

    ``everything`` goes on to the end, for the whole row of the matrix. ``mutant`` ``None`` is the
    control: the unchanged copy, which nothing may kill.
    """
    manifest = msgspec.structs.replace(manifests.load(target), watchdog_s=WATCHDOG_S)
    kill = Kill(mutant or _CONTROL, SURVIVED)
    clause = kill.mutant.clause
    ordered = sorted(scenarios, key=lambda t: clause not in t.header.clauses)
    with planted(mutant, target) as environment:
        opened = served(target, manifest, environment=environment)
        try:
            for scenario in ordered:
                name = scenario_id(scenario)
                told(name)
                finding = look(opened, scenario, manifest)
                kill.ran += 1
                if finding is not None:
                    kill.found[name] = finding
                    if not everything:
                        break
        finally:
            opened.stop()
    if kill.found:
        kill.status = KILLED
    elif kill.mutant.equivalent:
        kill.status = EQUIVALENT
    return kill


def look(target: Target, scenario: Trace, manifest: manifests.Manifest) -> Finding | None:
    """The first finding of one scenario that names a clause."""
    if any(c not in manifest.capabilities for c in scenario.header.needs):
        return None
    try:
        _, judged = runner.run(target, scenario, manifest, build=None)
    except (ExpressionError, TargetError):
        # A target that cannot go on at all was not judged: it kills nothing.
        return None
    return next((f for f in judged.findings if f.kind in KILLS and f.clause), None)


_CONTROL = Mutant(id="control", clause="", file="", old="", new="", reason="an unchanged copy")
