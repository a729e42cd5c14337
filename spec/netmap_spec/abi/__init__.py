"""Measured ABI tables, the views generated from them, and what compares them.

``api14`` and ``api2011`` hold one class a structure (``api14.netmap_ring(mem, offset).head``) and
every constant under its netmap name; :func:`module` gives the same for any version on any target.
:func:`layout` gives any measured version on any measured target, :func:`compare` what differs between two
of them.
"""

from .emit_python import module
from .generated import api14, api2011
from .measured import (
    GENERATIONS,
    TARGETS,
    AbiError,
    Difference,
    Field,
    Layout,
    Struct,
    compare,
    layout,
    tables,
)
from .views import Buffer, Bytes, View

__all__ = [
    "GENERATIONS",
    "TARGETS",
    "AbiError",
    "Buffer",
    "Bytes",
    "Difference",
    "Field",
    "Layout",
    "Struct",
    "View",
    "api14",
    "api2011",
    "compare",
    "layout",
    "module",
    "tables",
]
