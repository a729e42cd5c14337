"""The C side of netmap-verify, seen from Python.

``core``     the pure ring and pool functions (``libnetmap_core.so``), twins of the reference model
``Device``   a netmap device: the one in user space (``libnetmap_user.so`` and its broker) or a node such
             as ``/dev/netmap``, through the same five entry points
``Binding``  a small application on it: bind, send, receive
``Peer``     the device in another process, which can be killed

Importing costs nothing and needs no compiler; using it raises :class:`NotBuilt` until ``make native`` ran.
"""

from ._library import DeviceMissing, NotBuilt
from .application import Binding
from .device import Device
from .peer_process import Memory, Peer, PeerGone

__all__ = ["Binding", "Device", "DeviceMissing", "Memory", "NotBuilt", "Peer", "PeerGone"]
