"""Implementations under test; ``base.py`` says what one looks like to the runner.

``reference`` · ``native`` · ``lib:FILE.so`` · ``exec:COMMAND``, see ``conformance/README.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ..manifest import Manifest
from .base import Target, TargetError

KINDS = ("reference", "native", "lib:FILE.so", "exec:COMMAND")


def open_target(
    spec: str, manifest: Manifest, device: str = "", seed: int | None = None, policy: str = ""
) -> Target:
    """The target that ``--target SPEC --device D`` names, not started yet.

    Targets that run foreign or C code live in a process of their own (:mod:`.serve`), so that their
    crash is an observation. Raises :class:`TargetError`: status 2 for an unknown target, 3 for one that
    is not there.
    """
    kind, _, rest = spec.partition(":")
    if kind == "exec":
        from .exec import ExecTarget

        return ExecTarget(rest, manifest)
    if kind in ("native", "lib"):
        _check(spec, device or manifest.device)
        return served(spec, manifest, device, seed, policy)
    return open_here(spec, manifest, device, seed, policy)


def served(
    spec: str,
    manifest: Manifest,
    device: str = "",
    seed: int | None = None,
    policy: str = "",
    environment: Mapping[str, str] | None = None,
) -> Target:
    """The target in a process of its own, which has ``environment`` on top of this one's variables."""
    from .exec import ExecTarget

    command = [sys.executable, "-m", "netmap_conformance.targets.serve", spec]
    command += ["--device", device, "--policy", policy]
    command += ["--seed", str(seed)] if seed is not None else []
    command += ["--manifest-json", msgspec.json.encode(manifest).decode()]
    return ExecTarget(command, manifest, name=spec, environment=environment)


def open_here(
    spec: str, manifest: Manifest, device: str = "", seed: int | None = None, policy: str = ""
) -> Target:
    """Like :func:`open_target`, in this process."""
    kind, _, rest = spec.partition(":")
    device = device or manifest.device
    if spec == "reference" and manifest.generation == "14":
        from .reference import ReferenceTarget

        return ReferenceTarget(manifest, policy, seed)
    if spec == "reference":
        from .reference2011 import Reference2011Target

        return Reference2011Target(manifest)
    if spec == "native" or kind == "lib":
        from .device import DeviceTarget
        from .entry import library, native

        _check(spec, device)
        return DeviceTarget(manifest, library(Path(rest)) if kind == "lib" else native(device), name=spec)
    raise TargetError(f"unknown target '{spec}': one of {', '.join(KINDS)}", status=2)


def _check(spec: str, device: str) -> None:
    """What is missing is said here, in one line, before any process is started."""
    kind, _, rest = spec.partition(":")
    if kind == "lib":
        if not rest:
            raise TargetError("lib: names no file", status=2)
        if not Path(rest).is_file():
            raise TargetError(f"lib: there is no file {rest}")
    elif spec == "native":
        if device.startswith("/") and not Path(device).exists():
            raise TargetError(f"native: there is no {device} on this machine (is the netmap module loaded?)")
        if not device.startswith("/") and device not in ("", "user"):
            raise TargetError(f"native: unknown device '{device}': user, or the path of a node", status=2)
        from netmap_native import NotBuilt, _library

        if device in ("", "user"):
            try:
                _library.file("libnetmap_user.so")
            except NotBuilt as error:
                raise TargetError(str(error)) from None
    else:
        raise TargetError(f"unknown target '{spec}': one of {', '.join(KINDS)}", status=2)


__all__ = ["KINDS", "Target", "TargetError", "open_here", "open_target", "served"]
