"""Targets at the level of the ABI: the device in user space, and a shared object with the five symbols."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from netmap_conformance import manifest, runner, scenarios
from netmap_conformance.manifest import Manifest
from netmap_conformance.targets import Target, TargetError, open_target
from netmap_conformance.targets.control import Control, constant
from netmap_conformance.targets.entry import EVENTS, Library, event_names
from netmap_native import NotBuilt, _library


def built() -> Path | None:
    try:
        return _library.file("libnetmap_user.so")
    except NotBuilt:
        return None


needs_native = pytest.mark.skipif(built() is None, reason="the C side is not built: make native")
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: install gcc or clang")


@pytest.fixture(scope="module")
def native() -> Target:
    return open_target("native", manifest.load("native"))


@needs_native
def test_the_probe_finds_what_the_manifest_declares(native: Target) -> None:
    declared = set(manifest.load("native").capabilities)
    assert declared <= native.capabilities()


@needs_native
@pytest.mark.parametrize(
    "name",
    [
        "pipe-full",
        "pipe-swap-rx",
        "nic-peer",
        "nic-rx-swap",
        "poll-wakeup-in",
        "process-killed",
        "fork-inherits",
    ],
)
def test_scenarios_pass_on_the_device_in_user_space(native: Target, name: str) -> None:
    (scenario,) = scenarios.load("14", name)
    trace, judged = runner.run(native, scenario, manifest.load("native"), build=None)
    assert judged.verdict == "PASS", [str(f) for f in judged.findings]
    assert trace.header.target == "native"


@needs_native
def test_a_scenario_leaves_nothing_for_the_next_one(native: Target) -> None:
    (scenario,) = scenarios.load("14", "register-fields")
    outs = []
    for _ in range(2):
        trace, _ = runner.run(native, scenario, manifest.load("native"), build=None)
        outs.append([e.out for e in trace.events if getattr(e, "out", None)])
    assert outs[0] == outs[1]


# --- a shared object ----------------------------------------------------------------------------

#: Five symbols in front of the device in user space.
SHIM = r"""
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>
int nmu_open(const char *, int);
int nmu_ioctl(int, unsigned long, void *);
void *nmu_mmap(void *, size_t, int, int, int, off_t);
int nmu_munmap(void *, size_t);
int nmu_poll(struct pollfd *, unsigned long, int);
int nmu_close(int);
int nm_open(void) { return nmu_open(NULL, O_RDWR); }
int nm_ioctl(int fd, unsigned long request, void *argument) { return nmu_ioctl(fd, request, argument); }
void *nm_mmap(int fd, size_t n, int prot, int flags, off_t at)
{
	return nmu_mmap(NULL, n, prot, flags, fd, at);
}
int nm_munmap(void *p, size_t n) { return nmu_munmap(p, n); }
int nm_poll(int fd, short events, short *revents, int ms)
{
	struct pollfd p = { fd, events, 0 };
	int ret = nmu_poll(&p, 1, ms);
	*revents = p.revents;
	return ret;
}
int nm_close(int fd) { return nmu_close(fd); }
"""


@needs_native
@needs_cc
def test_any_library_with_the_five_symbols_is_a_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib = built()
    assert lib is not None
    (tmp_path / "shim.c").write_text(SHIM)
    shim = tmp_path / "libmine.so"
    command = ["cc", "-shared", "-fPIC", "-o", str(shim), str(tmp_path / "shim.c")]
    subprocess.run([*command, str(lib), f"-Wl,-rpath,{lib.parent}"], check=True)
    monkeypatch.setenv("NETMAP_VERIFY_DIR", str(tmp_path))
    target = open_target(f"lib:{shim}", Manifest(name="mine", watchdog_s=30))
    try:
        assert {"pipe", "threads", "processes"} <= target.capabilities()
        assert "nic" not in target.capabilities(), "it has no nm_configure"
        for name in ("pipe-basic", "pipe-swap-tx", "poll-wakeup-out", "mmap-variants", "unbound"):
            (scenario,) = scenarios.load("14", name)
            _, judged = runner.run(target, scenario, Manifest(name="mine"), build=None)
            assert judged.verdict == "PASS", (name, [str(f) for f in judged.findings])
    finally:
        target.stop()


@needs_cc
@pytest.mark.parametrize(
    ("code", "words"), [("int nm_open(void) { return -1; }", "nm_ioctl"), ("", "nm_open")]
)
def test_a_library_without_a_symbol_says_which(tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "half.c").write_text(code + "\nint half;\n")
    lib = tmp_path / "libhalf.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(lib), str(tmp_path / "half.c")], check=True)
    with pytest.raises(TargetError, match=f"has no symbol {words}") as caught:
        Library(lib)
    assert caught.value.status == 3


def test_a_file_that_is_no_library_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "text.so"
    file.write_text("not ELF")
    with pytest.raises(TargetError, match=r"text\.so cannot be loaded"):
        Library(file)


# --- words and numbers --------------------------------------------------------------------------


def test_constants_by_number_and_by_name() -> None:
    assert constant(5, "NR_REG_") == 5
    assert constant("ONE_NIC", "NR_REG_") == 4
    assert constant("NR_EXCLUSIVE|NR_NO_TX_POLL", "NR_") == 0x20800
    assert constant("0x10", "NR_") == 16


def test_a_request_is_a_header_that_points_to_its_body() -> None:
    request = Control("REGISTER", {"name": "x{1", "mode": "ONE_NIC", "ringid": 3, "version": 15})
    assert request.header_fields() == {"nr_version": 15, "nr_reqtype": 1, "nr_reserved": 0, "nr_name": "x{1"}
    body = request.body_fields()
    assert body is not None and (body["nr_mode"], body["nr_ringid"]) == (4, 3)
    assert request.header.nr_body != 0
    assert Control("VALE_DELIF", {"name": "v0"}).header.nr_body == 0
    for name, args in (("TELEPORT", {}), ("REGISTER", {"colour": 1}), ("VALE_DELIF", {"mode": 1})):
        with pytest.raises(TargetError, match=r"unknown request|has no field"):
            Control(name, args)


def test_events_come_back_under_the_name_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert event_names(EVENTS["in"] | EVENTS["err"], ["in"]) == ["err", "in"]
    # FreeBSD has one bit for POLLOUT and POLLWRNORM.
    monkeypatch.setitem(EVENTS, "wrnorm", EVENTS["out"])
    assert event_names(EVENTS["out"], ["wrnorm"]) == ["wrnorm"]
    assert event_names(EVENTS["out"], ["out"]) == ["out"]


def test_a_dead_child_is_a_fault_of_its_call() -> None:
    from netmap_conformance.targets.process import Child
    from netmap_conformance.trace import Call, Return, See

    def run(call: Call) -> Return:
        if call.op == "die":
            os._exit(3)
        return Return(of=call.n, ret=7)

    child = Child(run, lambda fd: See())
    assert child.call(Call(n=1, op="work", actor="P"), False, 20.0) == Return(of=1, ret=7)
    done = child.call(Call(n=2, op="die", actor="P"), False, 20.0)
    assert done is not None and done.fault == "process P: exit status 3"
    child.kill()
