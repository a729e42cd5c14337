"""Chapter *drivers*: in what the drivers of network ports differ from each other.

The contract leaves a driver room: how long frames may be, whether several slots make one frame, how
much it buffers. What a driver does is configuration of a port, not a rule of netmap. ``generic nic`` is
the most permissive one and stands for hardware nobody described.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.choice import Choice, Choose
from ...core.memory import PAGE

ETH_HLEN = 14
ETH_ZLEN = 60
VLAN_HLEN = 4


@dataclass(frozen=True, slots=True)
class Driver:
    """``copies``: the emulated adapter, which copies between slots and the system's own packets.
    ``shares``: both ends of a veth pair in one memory, as a pipe. ``fragments``: slots with NS_MOREFRAG are
    gathered into one frame. ``clears_fragments``: do they lose that flag when they are sent, ``yes``, ``no``
    or ``may``. ``rx_buf_max``: the most one receive slot takes, bytes; a larger MTU needs ``fragments``.
    ``pads``: frames below 60 bytes are padded on the wire. ``offsets``: the option OFFSETS may be asked for.
    """

    name: str
    copies: bool = False
    shares: bool = False
    fragments: bool = True
    clears_fragments: str = "no"
    rx_buf_max: int = PAGE
    pads: bool = False
    offsets: bool = True


GENERIC = Driver("generic nic", clears_fragments="may")
DRIVERS = {
    d.name: d
    for d in (
        GENERIC,
        Driver("e1000", clears_fragments="yes", rx_buf_max=2048, pads=True),
        Driver("veth", shares=True, fragments=False, offsets=False),
        Driver("emulated", copies=True, fragments=False, rx_buf_max=32768),
    )
}


def mtu_fits(mtu: int, buf_size: int, rx_buf_max: int, fragments: bool) -> bool:
    """Does a frame of this MTU fit buffers of ``buf_size``? Source: netmap_buf_size_validate."""
    if mtu <= rx_buf_max:
        return buf_size >= mtu
    return fragments and buf_size >= rx_buf_max


def on_wire(driver: Driver, mtu: int, frame: bytes, where: str, choose: Choose) -> bytes | None:
    """The frame as it leaves the port, None when the device does not send it.

    A frame of MTU plus Ethernet header always passes. One that is a VLAN tag longer may or may not; a longer
    one, and one without a whole Ethernet header, does not pass the system's stack and may or may
    not pass hardware.
    """
    length = len(frame)
    if length == 0:
        return None
    limit = mtu + ETH_HLEN
    if length > limit:
        possible = not driver.copies or length <= limit + VLAN_HLEN
        if not possible or not choose(Choice("nic.oversize", where, 0, 1, "frames")):
            return None
    if length < ETH_HLEN and (driver.copies or not choose(Choice("nic.runt", where, 0, 1, "frames"))):
        return None
    if driver.pads and length < ETH_ZLEN:
        return frame.ljust(ETH_ZLEN, b"\0")
    return frame
