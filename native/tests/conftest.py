"""Fixtures: a device in user space of its own for each test, in both modes of the data path."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest
from netmap_native import Device

#: A generous bound for what must happen by itself; reaching it means it never does.
SOON_S = 20.0


@pytest.fixture(params=["in-process", "brokered"])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    with Device("user", mode=request.param) as made:
        assert made.running_mode() == request.param
        yield made


@pytest.fixture
def brokered() -> Iterator[Device]:
    with Device("user", mode="brokered") as made:
        yield made


@pytest.fixture
def in_process() -> Iterator[Device]:
    with Device("user", mode="in-process") as made:
        yield made


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


NATIVE = Path(__file__).resolve().parents[1]
Make = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="session")
def make() -> Make:
    """Run ``make -C native``, whatever make or sanitizer the tests themselves run under."""
    clean = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "MAKEFLAGS", "MAKELEVEL")}

    def call(*arguments: str) -> CompletedProcess[str]:
        return run(["make", "-C", str(NATIVE), *arguments], capture_output=True, text=True, env=clean)

    return call


@pytest.fixture
def running() -> Callable[[int], bool]:
    """Is this a process that has not ended? One that has and was not reaped yet counts as ended."""
    return _running


@pytest.fixture
def soon() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is so; fail when it never is."""

    def wait(condition: Callable[[], bool]) -> None:
        until = time.monotonic() + SOON_S
        while not condition():
            assert time.monotonic() < until, "this never happens"
            time.sleep(0.005)

    return wait
