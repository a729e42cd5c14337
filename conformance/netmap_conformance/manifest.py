"""Manifests: what the owner of an implementation says about it, one TOML file.

    name = "my-netmap"
    generation = "14"
    target = "lib:./libmynetmap.so"
    capabilities = ["pipe", "nic", "threads"]
    watchdog_s = 60

    [ports]                     # name in the scenarios -> name on the machine
    v0 = "em0"

    [errno]                     # what the target reports -> the name the contract uses
    "45" = "EOPNOTSUPP"

    [choices]                   # what it does where the contract lets it choose
    "policy" = "eager"

    [[deviations]]              # known differences; they still run, an unexpected pass fails
    clause = "14.ring.reinit-resets"
    switch = "14.reinit-trusts-user"
    tests = "prologue-*"
    reason = "the ring keeps what the application wrote"
    link = "https://example.org/issue/1"

The file belongs in the implementation's own repository; those of the project's own targets and of
the systems its recordings come from are in ``netmap_conformance/manifests``. The schema is
``netmap_spec/schemas/manifest.schema.json``.
"""

from __future__ import annotations

import errno as os_errno
import re
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import msgspec
from netmap_spec import clauses

HERE = Path(__file__).parent / "manifests"

#: Every capability a scenario may need, and what having it means.
CAPABILITIES = {
    "fresh": "every scenario starts on a device that nobody uses and nobody has used",
    "nested": "REGISTER opens pipes below the ends of pipes, x{1}2",
    "null": "REGISTER makes null ports",
    "pipe": "REGISTER opens both ends of NAME{ID and NAME}ID",
    "vale": "REGISTER makes ports of switches, valeX:PORT, and what one sends reaches the others",
    "csb": "a descriptor can be in CSB mode",
    "kloop": "a sync-kloop can run, with sleeps",
    "eventfds": "a sync-kloop can wait for eventfds",
    "nic": "the ports of kind nic that a scenario asks for exist and REGISTER opens them",
    "monitor": "REGISTER with a monitor flag opens a monitor of a port that is open",
    "offsets": "REGISTER takes the option OFFSETS where the port has offsets",
    "rings": "a NIC port can have more than one transmit and receive ring",
    "wire": "the environment delivers frames to a NIC's wire and collects what came out there",
    "peer": "two NIC ports can be the ends of one wire",
    "host": "the environment delivers frames to a port's host side and collects what came out there",
    "drivers": "a scenario can choose a port's driver, reset its device, take it down and up, give it "
    "other rings, remove it and register it again",
    "unload": "netmap's module can be unloaded, and is loaded again at once",
    "parameters": "module parameters can be set",
    "extmem": "REGISTER takes memory of the process (option EXTMEM), and the same memory again",
    "injection": "an internal step of the next request, open or mmap can be made to fail",
    "module": "another module of the kernel can make switches and register callbacks with them",
    "io": "read and write can be called on a descriptor",
    "kqueue": "a descriptor can be waited for through a kqueue",
    "epoll": "a descriptor can be put into an epoll set, which is waited for",
    "threads": "one thread may sleep in poll while another calls",
    "processes": "another process can open the device, and be killed",
    "fork": "a child process inherits the descriptors and mappings of its parent",
    "dup": "a descriptor can be duplicated",
    "quiet": "the environment can be asked whether it has anything left to do",
    "libraries": "nm_open and libnetmap can be asked how they read a port specification",
    "legacy": "NIOCREGIF and NIOCGINFO can be called, with struct nmreq",
    "faults": "a pointer outside the process is answered with EFAULT, not with a signal",
    "random": "random campaigns may be run: the target survives any application",
}


class ManifestError(ValueError):
    """A manifest cannot be used; the message is one line naming the file and the key."""


class Deviation(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One known difference between the target and the contract.

    ``clause`` is broken in the scenarios (or recordings) whose id matches the glob ``tests``;
    ``switch`` names the as-written reading that describes what the target does instead, empty when no
    reading does. ``reason`` is for the reader, ``link`` where the difference is tracked.
    """

    clause: str
    reason: str
    tests: str = "*"
    switch: str = ""
    link: str = ""

    def applies(self, clause: str, test: str) -> bool:
        """Does this deviation speak about ``clause`` in the scenario ``test``?"""
        return self.clause == clause and fnmatchcase(test, self.tests)


class Manifest(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One target.

    ``target`` is what ``--target`` takes and ``device`` what ``--device`` takes, each used when the
    command line names none. ``capabilities`` are declared: the target is probed for each, and one
    that is declared and not found is an error. ``watchdog_s`` bounds one call, in seconds: it is no
    verdict on speed, only the end of waiting.
    """

    name: str
    generation: Literal["2011", "14"] = "14"
    text: str = ""
    target: str = ""
    device: str = ""
    capabilities: list[str] = []
    ports: dict[str, str] = {}
    errno: dict[str, str] = {}
    choices: dict[str, str | int] = {}
    deviations: list[Deviation] = []
    watchdog_s: float = 60.0

    def port(self, name: str) -> str:
        """The name on the machine of the scenario's port ``name`` (``v0``, also within ``v0{1``)."""
        match = re.match(r"[^{}]*", name)
        base = match[0] if match else name
        return self.ports.get(base, base) + name[len(base) :]

    def logical(self, name: str) -> str:
        """The scenario's name of a port of the machine: :meth:`port` the other way round."""
        match = re.match(r"[^{}]*", name)
        base = match[0] if match else name
        back = {real: ours for ours, real in self.ports.items()}
        return back.get(base, base) + name[len(base) :]

    def errno_name(self, code: int | str) -> str:
        """The contract's name for what the target reported: a number of its system, or a name."""
        if str(code) in self.errno:
            return self.errno[str(code)]
        if isinstance(code, int):
            return canonical(os_errno.errorcode.get(code, f"E{code}"))
        return canonical(code)

    def deviation(self, clause: str, test: str) -> Deviation | None:
        """The first deviation listed for ``clause`` in the scenario ``test``."""
        return next((d for d in self.deviations if d.applies(clause, test)), None)

    def switches(self, test: str) -> frozenset[str]:
        """The as-written readings that the deviations listed for the scenario ``test`` name."""
        return frozenset(d.switch for d in self.deviations if d.switch and fnmatchcase(test, d.tests))


def canonical(name: str) -> str:
    """One name for errnos that share a number: EOPNOTSUPP for ENOTSUP, EAGAIN for EWOULDBLOCK."""
    return {"ENOTSUP": "EOPNOTSUPP", "EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK"}.get(name, name)


def load(path: Path | str) -> Manifest:
    """The manifest in a file, or a built-in one by its bare name (``reference``, ``native``, …).

    Raises :class:`ManifestError` naming file and key.
    """
    file = Path(path)
    if str(path) in builtin():
        file = HERE / f"{path}.toml"
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{file}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ManifestError(f"{file}: not a text file") from None
    return parse(text, str(file))


def builtin() -> list[str]:
    """Names of the manifests that come with the project."""
    return sorted(p.stem for p in HERE.glob("*.toml"))


def parse(text: str, path: str = "<manifest>") -> Manifest:
    """The manifest in a TOML text. Raises :class:`ManifestError` naming ``path`` and the key."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{path}: not TOML: {error}") from None
    try:
        manifest = msgspec.convert(data, Manifest)
    except msgspec.ValidationError as error:
        raise ManifestError(f"{path}: {_where(str(error))}") from None
    for key, problem in _problems(manifest):
        raise ManifestError(f"{path}: {key}: {problem}")
    return manifest


_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<key>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"field `(?P<name>[^`]+)`")


def _where(message: str) -> str:
    """msgspec's message with the key in front: ``deviations[0].reason: Object missing …``."""
    match = _AT.match(message)
    assert match is not None
    key, what = match["key"] or "", match["what"].replace("Object ", "")
    named = _FIELD.search(what)
    if named:
        key = f"{key}.{named['name']}" if key else named["name"]
    return f"{key}: {what}" if key else what


def _problems(m: Manifest) -> list[tuple[str, str]]:
    """What the types cannot say, as (key, problem), in the order of the file's tables."""
    found: list[tuple[str, str]] = []
    if not m.name.strip():
        found.append(("name", "is empty"))
    for i, capability in enumerate(m.capabilities):
        if capability not in CAPABILITIES:
            named = ", ".join(CAPABILITIES)
            found.append((f"capabilities[{i}]", f"unknown capability '{capability}'; known: {named}"))
    if not m.watchdog_s > 0:
        found.append(("watchdog_s", f"{m.watchdog_s} is not a positive number of seconds"))
    for code, name in m.errno.items():
        if not re.fullmatch(r"E[A-Z0-9]+", name):
            found.append((f"errno.{code}", f"'{name}' is not the name of an errno"))
    known: dict[str, Any] = dict(clauses.load())
    seen: set[tuple[str, str, str]] = set()
    for i, d in enumerate(m.deviations):
        at = f"deviations[{i}]"
        clause = known.get(d.clause)
        if clause is None:
            found.append((f"{at}.clause", f"there is no clause '{d.clause}'"))
        elif d.clause.split(".")[0] not in (m.generation, "all"):
            found.append((f"{at}.clause", f"'{d.clause}' is not of generation {m.generation}"))
        elif d.switch and d.switch not in _names(clause.deviations):
            named = ", ".join(_names(clause.deviations)) or "none"
            found.append((f"{at}.switch", f"{d.clause} has no deviation '{d.switch}'; it has: {named}"))
        if not d.reason.strip():
            found.append((f"{at}.reason", "is empty"))
        if (d.clause, d.switch, d.tests) in seen:
            found.append((at, f"'{d.clause}' in '{d.tests}' is listed twice"))
        seen.add((d.clause, d.switch, d.tests))
    return found


def _names(deviations: tuple[str, ...]) -> tuple[str, ...]:
    """The switch names of a clause's ``- deviation: NAME …`` lines."""
    return tuple(text.split()[0].rstrip(":") for text in deviations)
