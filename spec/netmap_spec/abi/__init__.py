"""Measured ABI tables and the views generated from them.

``api14`` and ``api2011`` hold one class a structure (``api14.netmap_ring(mem, offset).head``) and
every constant under its netmap name.
"""

from .generated import api14, api2011
from .views import Buffer, Bytes, View

__all__ = ["Buffer", "Bytes", "View", "api14", "api2011"]
