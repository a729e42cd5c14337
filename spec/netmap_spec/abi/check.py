"""Compile the generated assertions: against FreeBSD's own header, and against ours on every target.

The wheel ``ziglang`` carries FreeBSD's headers, ``net/netmap.h`` included, and a C compiler for every
target of the tables. Each check is compiled twice: as it is, and with one assertion made wrong,
which must fail (a check whose control passes is BROKEN, whatever its first half says).

The expected layout is the tables'. What a target has otherwise than the main one stands in them
under ``differs_by_target`` and becomes a branch of the assertion header.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .emit_c import asserting_header, declaring_header
from .generate import VERSIONS
from .measured import stem

#: Target of the tables -> zig's name for it.
TRIPLES = {
    "freebsd-x86_64": "x86_64-freebsd-none",
    "freebsd-aarch64": "aarch64-freebsd-none",
    "freebsd-riscv64": "riscv64-freebsd-none",
    "freebsd-powerpc64": "powerpc64-freebsd-none",
    "freebsd-i386": "x86-freebsd-none",
    "freebsd-armv7": "arm-freebsd-eabihf",
    "linux-x86_64": "x86_64-linux-gnu",
    "linux-i386": "x86-linux-gnu",
    "linux-i386-time64": "x86-linux-musl",
}

#: The field whose offset the control gets wrong: every version and target has it.
CONTROL = re.compile(r"(NETMAP_VERIFY_FIELD\(struct netmap_ring, cur, )(\d+),")

TIMEOUT_S = 600  # a compilation takes well under a second; this only ends a compiler that hangs


class CompilerMissing(RuntimeError):
    """No compiler for other targets is installed; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One header on one target.

    ``header`` is ``net/netmap.h`` (the target system's own) or one of ours. ``verdict``: ``AGREES``;
    ``DIFFERS`` (``errors`` has one line for every assertion that failed); ``BROKEN`` (the control
    compiled, so the check proves nothing); ``FAILED`` (the compiler stopped for another reason).
    """

    target: str
    header: str
    verdict: str
    errors: tuple[str, ...] = ()


def find_compiler() -> list[str]:
    """The command that starts ``zig cc``. Raises :class:`CompilerMissing`."""
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    if found := shutil.which("zig"):
        return [found, "cc"]
    raise CompilerMissing("no zig: install the package 'ziglang' (extra 'dev'), which has FreeBSD's headers")


def _errors(output: str) -> tuple[str, ...]:
    """Assertion texts (``size of struct netmap_slot is not 17``), or the compiler's own errors."""
    failed = re.findall(r"static assertion failed[^\n]*: ([^\n]+)$", output, re.MULTILINE)
    if failed:
        return tuple(failed)
    return tuple(line.split("error: ", 1)[1] for line in output.splitlines() if "error: " in line) or (
        (output.strip().splitlines() or ["the compiler said nothing"])[-1],
    )


def _compile(compiler: Sequence[str], target: str, folder: Path, source: str) -> tuple[bool, str]:
    (folder / "check.c").write_text(source, encoding="utf-8")
    command = [*compiler, "-target", TRIPLES[target], "-std=c11", "-Wall", "-Wextra", "-I", str(folder)]
    command += ["-c", str(folder / "check.c"), "-o", str(folder / "check.o")]
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(folder / "cache")}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"error: {error}"
    return done.returncode == 0, done.stderr


def check_header(
    compiler: Sequence[str], target: str, header: str, includes: str, texts: dict[str, str]
) -> Checked:
    """Compile ``includes`` with the headers ``texts`` (by name), then again with one assertion made wrong."""
    with tempfile.TemporaryDirectory(prefix="netmap-abi-") as name:
        folder = Path(name)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        good, output = _compile(compiler, target, folder, includes)
        if not good:
            kind = "DIFFERS" if "static assertion failed" in output else "FAILED"
            return Checked(target, header, kind, _errors(output))
        for file, text in texts.items():
            (folder / file).write_text(
                CONTROL.sub(lambda m: f"{m[1]}{int(m[2]) + 1},", text), encoding="utf-8"
            )
        passed, output = _compile(compiler, target, folder, includes + "/* control */\n")
        if passed or not any("netmap_ring.cur is not at" in line for line in _errors(output)):
            return Checked(target, header, "BROKEN", ("a wrong offset of netmap_ring.cur was accepted",))
    return Checked(target, header, "AGREES")


FOREIGN = """\
#define NETMAP_WITH_LIBS
#include <stdint.h>
#include <sys/types.h>
#include <sys/time.h>
#include <sys/socket.h>
#include <net/if.h>
#include <net/netmap.h>
#include <net/netmap_virt.h>
#include <net/netmap_user.h>
#include "abi_assert_api14.h"
"""


def check_freebsd(targets: Iterable[str] | None = None) -> list[Checked]:
    """FreeBSD's own netmap headers against generation 14, on each FreeBSD target of the tables.

    Raises :class:`CompilerMissing`.
    """
    compiler = find_compiler()
    chosen = [t for t in TRIPLES if t.startswith("freebsd-")] if targets is None else list(targets)
    texts = {"abi_assert_api14.h": asserting_header("14")}
    return [check_header(compiler, t, "net/netmap.h", FOREIGN, texts) for t in chosen]


def check_own(targets: Iterable[str] | None = None, versions: Iterable[str] = VERSIONS) -> list[Checked]:
    """Declarations of every version on each target: do they have the measured layout there?

    Generations 2011 and 14 have theirs as files; those of the versions between are made for this.
    Raises :class:`CompilerMissing`.
    """
    compiler = find_compiler()
    found = []
    for version in versions:
        name = stem(version)
        texts = {
            f"abi_{name}.h": declaring_header(version),
            f"abi_assert_{name}.h": asserting_header(version),
        }
        for target in TRIPLES if targets is None else targets:
            found.append(check_header(compiler, target, f"abi_{name}.h", f'#include "abi_{name}.h"\n', texts))
    return found


def check(targets: Iterable[str] | None = None) -> list[Checked]:
    """All of it: what ``netmap-verify abi --check`` reports. Raises :class:`CompilerMissing`."""
    chosen = None if targets is None else list(targets)
    freebsd = None if chosen is None else [t for t in chosen if t.startswith("freebsd-")]
    return check_freebsd(freebsd) + check_own(chosen)
