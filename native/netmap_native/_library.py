"""Finding and opening the C side.

The shared objects are built by ``make native`` (``make -C native``) into ``build/native`` of the project;
``NETMAP_VERIFY_LIB`` names another folder (the sanitizer builds, an installed copy). Nothing is built at
import or install time: the binding is cffi in ABI mode.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import cffi


class NotBuilt(Exception):
    """The C side is not there; one line that says how to get it."""


class DeviceMissing(Exception):
    """The device cannot be opened, or cannot do what was asked of it; one line."""


def folder() -> Path:
    """Where the shared objects are expected, built or not."""
    named = os.environ.get("NETMAP_VERIFY_LIB")
    if named:
        return Path(named)
    return Path(__file__).resolve().parents[2] / "build" / "native"


def file(name: str) -> Path:
    """The path of one built file. Raises :class:`NotBuilt` when it is missing."""
    path = folder() / name
    if not path.is_file():
        raise NotBuilt(f"{path} is missing: run make native (or set NETMAP_VERIFY_LIB)")
    return path


@cache
def _opened(path: str, cdef: str) -> tuple[Any, Any]:
    ffi = cffi.FFI()
    ffi.cdef(cdef)
    try:
        return ffi, ffi.dlopen(path)
    except OSError as error:
        raise NotBuilt(f"{path} cannot be loaded: {error}") from None


def load(name: str, cdef: str) -> tuple[Any, Any]:
    """``(ffi, library)`` of one shared object. Raises :class:`NotBuilt`."""
    return _opened(str(file(name)), cdef)
