"""What a device is found to have, by trying; see :data:`~..manifest.CAPABILITIES`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..trace import FORMAT, Call, Header, Port

if TYPE_CHECKING:
    from .device import DeviceTarget


def probe(target: DeviceTarget) -> frozenset[str]:
    """Capabilities of a device: each is tried, where one can be made on an environment of its own."""
    found = {"threads", "processes", "fork"}
    environment = target.entry.environment
    if "configure" in environment:
        ports = [Port(name="v0", peer="v1", tx_rings=2, rx_rings=2), Port(name="v1", peer="v0")]
        wanted = {"v0": {"nic", "rings"}, "v1": {"peer"}}
    else:
        ports = []
        wanted = {name: {"nic"} for name in target.manifest.ports}
    header = Header(netmap_trace=FORMAT, generation="14", ports=ports)
    for name, meaning in ({"probe{1": {"pipe"}, "valeprobe:p": {"vale"}} | wanted).items():
        target.start(header)
        target.call(Call(n=1, op="open", fd="P"))
        done = target.call(Call(n=2, op="register", fd="P", args={"name": name}))
        if done is not None and not done.errno:
            found |= meaning
            asked = target.call(Call(n=2, op="legacy", fd="P", args={"request": "GINFO", "name": name}))
            found |= {"legacy"} if asked is not None and not asked.errno else set()
            target.call(Call(n=3, op="dup", fd="P", args={"to": "Q"}))
            synced = target.call(Call(n=4, op="txsync", fd="Q"))
            found |= {"dup"} if synced is not None and not synced.errno else set()
    if "faults" in target.manifest.capabilities:
        # Only of those that say so: any other may die of it.
        target.start(header)
        target.call(Call(n=1, op="open", fd="P"))
        args = {"name": "probe{1", "header": {"badbody": 1}}
        done = target.call(Call(n=2, op="register", fd="P", args=args))
        found |= {"faults"} if done is not None and done.errno == "EFAULT" else set()
    target.stop()
    found |= {"wire", "host"} if "frame" in environment and "nic" in found else set()
    found |= {"io"} if "io" in environment else set()
    found |= {"epoll"} if "epoll" in environment else set()
    found |= {"quiet"} if "quiet" in environment else set()
    found |= {"fresh"} if "configure" in environment else set()
    found |= {"random"} if "configure" in environment else set()
    return frozenset(found)
