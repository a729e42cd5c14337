"""The build: from nothing, with warnings as errors, and one clear line when there is no compiler."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from netmap_native import NotBuilt, _library

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_builds_from_nothing(make: Make, compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    done = make(f"BUILD={tmp_path}", f"CC={compiler}")
    assert done.returncode == 0, done.stderr
    for name in ("libnetmap_core.so", "libnetmap_user.so", "nm-broker", "ring_bench"):
        assert (tmp_path / name).is_file()
    again = make(f"BUILD={tmp_path}", f"CC={compiler}")
    assert "CC" not in again.stdout.split(), "a second build has nothing to do"


def test_a_missing_compiler_is_one_line(make: Make, tmp_path: Path) -> None:
    done = make(f"BUILD={tmp_path}", "CC=no-such-compiler")
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "no C compiler" in lines[0]


def test_compiles_for_freebsd(make: Make, tmp_path: Path) -> None:
    """Against FreeBSD's own headers, which the ziglang wheel carries; linking is FreeBSD's business."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("the ziglang wheel (dev extra) is not installed")
    compiler = f"CC={sys.executable} -m ziglang cc -target x86_64-freebsd"
    done = make("objects", f"BUILD={tmp_path}", compiler)
    assert done.returncode == 0, done.stderr


def test_not_built_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETMAP_VERIFY_LIB", str(tmp_path))
    with pytest.raises(NotBuilt, match="run make native") as missing:
        _library.file("libnetmap_user.so")
    assert "\n" not in str(missing.value)


def test_a_library_that_is_none_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from netmap_native import Device

    (tmp_path / "libnetmap_user.so").write_text("not a library")
    monkeypatch.setenv("NETMAP_VERIFY_LIB", str(tmp_path))
    with pytest.raises(NotBuilt, match="cannot be loaded"):
        Device("user")


def test_exports_are_the_public_names_only() -> None:
    if shutil.which("nm") is None:
        pytest.skip("nm (binutils) is not installed")
    for name, prefixes in (("libnetmap_user.so", ("nmu_", "nmx_", "nmv_")), ("libnetmap_core.so", ("nmv_",))):
        command = ["nm", "-D", "--defined-only", str(_library.file(name))]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        names = {line.split()[-1] for line in listed.stdout.splitlines()}
        own = {n for n in names if not n.startswith(("_", "__"))}
        assert own and all(n.startswith(prefixes) for n in own), own
