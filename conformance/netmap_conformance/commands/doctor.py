"""``netmap-verify doctor``: what this machine can run, and why not the rest.

Every check names the commands that need it; a command is runnable when all of its checks are well.
Exit status: 0, or 3 when not even the model can be run here.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import typer

from ..errors import ABSENT

MODEL = "conform --target reference"
NATIVE = "conform --target native"
NODE = "conform --target native --device /dev/netmap"
CHECK = "check, diff, explain"
PROVE = "prove"
CAMPAIGN = "conform --random"
REPORT = "report"
PLOTS = "report with plots"
BENCH = "bench"
HW = "make hwtest"
FUZZ = "make fuzz, guided by coverage"
TEST = "make test"
BUILD = "make native"
FREEBSD = "the ABI check against FreeBSD's header"
RECORD = "scanning the kernel's log"
VETH = "veth ports in a network namespace"

#: Less than this and long recordings and the solver start to swap; bytes.
MEMORY = 512 << 20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked for. ``detail`` says what was found or how to get it."""

    name: str
    ok: bool
    detail: str
    enables: tuple[str, ...]


def register(app: typer.Typer) -> None:
    @app.command()
    def doctor(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
        """Say what this machine can run, and why not the rest."""
        found = list(examine())
        if as_json:
            typer.echo(json.dumps({"checks": [asdict(c) for c in found]}, indent=2))
        else:
            _show(found)
        if any(not c.ok and MODEL in c.enables for c in found):
            raise typer.Exit(ABSENT)


def examine() -> Iterator[Check]:
    """Every check, in the order they are shown."""
    ok = sys.version_info >= (3, 11)
    yield Check("Python", ok, platform.python_version() + ("" if ok else ", 3.11 is needed"), (MODEL, CHECK))
    yield _package("msgspec", "", (MODEL, CHECK))
    yield _package("z3-solver", "prove", (PROVE,))
    yield _package("crosshair-tool", "prove", (PROVE,))
    yield _package("hypothesis", "campaign", (CAMPAIGN, TEST))
    yield _package("jinja2", "", (REPORT,))
    yield _package("matplotlib", "report", (PLOTS,))
    yield _package("pytest", "dev", (TEST, HW))
    yield _package("ziglang", "dev", (FREEBSD,))
    yield _program("C compiler", (os.environ.get("CC", "cc"), "gcc", "clang"), "gcc or clang", (BUILD,))
    yield _program("make", ("make", "gmake"), "make", (BUILD, TEST))
    yield _program("clang", ("clang",), "clang (without it make fuzz takes random inputs)", (FUZZ,))
    yield _built()
    yield _memfd()
    yield _node(Path("/dev/netmap"))
    yield _namespaces()
    yield _kernel_log()
    yield _cores()
    yield _memory()
    yield _writable()


def _package(name: str, extra: str, enables: tuple[str, ...]) -> Check:
    try:
        return Check(name, True, metadata.version(name), enables)
    except metadata.PackageNotFoundError:
        wanted = f"netmap-verify[{extra}]" if extra else "netmap-verify"
        return Check(name, False, f"not installed: pip install '{wanted}'", enables)


def _program(name: str, commands: tuple[str, ...], install: str, enables: tuple[str, ...]) -> Check:
    for command in commands:
        path = shutil.which(command)
        if path:
            return Check(name, True, f"{path} {_version(path)}".strip(), enables)
    return Check(name, False, f"{commands[0]} not found: install {install}", enables)


def _version(path: str) -> str:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    line = done.stdout.splitlines()[:1]
    return f"({line[0]})" if line and done.returncode == 0 else ""


def _built() -> Check:
    name, enables = "device in user space", (NATIVE, BENCH, HW)
    from netmap_native import NotBuilt
    from netmap_native._library import file

    try:
        return Check(name, True, str(file("libnetmap_user.so")), enables)
    except NotBuilt as error:
        return Check(name, False, str(error), enables)


def _memfd() -> Check:
    """The user-space device shares its regions as memfds."""
    try:
        os.close(os.memfd_create("netmap-verify-doctor"))
    except (AttributeError, OSError) as error:
        return Check("memfd_create", False, f"not usable: {error}", (NATIVE,))
    return Check("memfd_create", True, "works", (NATIVE,))


def _node(path: Path) -> Check:
    enables = (NODE, HW)
    if not path.exists():
        return Check(str(path), False, "no such node: load netmap, or use the user-space device", enables)
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        return Check(str(path), False, f"cannot be opened: {(error.strerror or '').lower()}", enables)
    return Check(str(path), True, "opens", enables)


def _namespaces() -> Check:
    name, enables = "network namespaces", (VETH,)
    unshare = shutil.which("unshare")
    if unshare is None:
        return Check(name, False, "unshare not found: install util-linux (Linux only)", enables)
    done = subprocess.run([unshare, "-rn", "true"], capture_output=True, text=True)
    if done.returncode:
        why = " ".join(done.stderr.split()) or f"unshare -rn ended with {done.returncode}"
        return Check(name, False, f"not allowed here: {why}", enables)
    return Check(name, True, "unshare -rn works", enables)


def _kernel_log() -> Check:
    name = "kernel log"
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return Check(name, False, f"/dev/kmsg: {(error.strerror or '').lower()}", (RECORD,))
    return Check(name, True, "/dev/kmsg can be read", (RECORD,))


def _cores() -> Check:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check("processors", True, f"{count} may be used", (MODEL,))


def _memory() -> Check:
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return Check("memory", True, "not known on this system", (PROVE,))
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and limit.read_text().strip().isdigit():
        pages = min(pages, int(limit.read_text()))
    text = f"{pages / (1 << 30):.1f} GiB"
    if pages < MEMORY:
        return Check("memory", False, f"{text}: the solver wants {MEMORY >> 20} MiB", (PROVE,))
    return Check("memory", True, text, (PROVE,))


def _writable() -> Check:
    here = Path.cwd()
    enables = (REPORT, BENCH)
    if os.access(here / "build" if (here / "build").is_dir() else here, os.W_OK):
        return Check("folder build", True, f"{here}{os.sep}build can be written", enables)
    return Check("folder build", False, f"{here} is not writable: change folder, or use -o", enables)


def runnable(found: list[Check]) -> dict[str, list[Check]]:
    """Every command, with the failed checks it needs: an empty list means it can be run."""
    commands: dict[str, list[Check]] = {}
    for check in found:
        for command in check.enables:
            commands.setdefault(command, [])
            if not check.ok:
                commands[command].append(check)
    return commands


def _show(found: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)
    table = Table(title="This machine", title_justify="left", header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("looked for", no_wrap=True)
    table.add_column("found", overflow="fold")
    for check in found:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        table.add_row(mark, check.name, check.detail)
    console.print(table)
    for command, missing in runnable(found).items():
        if missing:
            why = ", ".join(c.name for c in missing)
            console.print(f"[red]✗[/] {command}: no {why}")
        else:
            console.print(f"[green]✓[/] {command}")
