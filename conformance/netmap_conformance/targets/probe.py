"""What a device is found to have, by trying; see :data:`~..manifest.CAPABILITIES`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..trace import FORMAT, Call, Header, Port

if TYPE_CHECKING:
    from .device import DeviceTarget


#: A pair of eventfds for each of two rings.
EVENTFDS = {"type": "SYNC_KLOOP_EVENTFDS", "entries": 2, "size": 40}
#: Capabilities that one REGISTER shows: the port that must be open first, if any, and what is asked for.
REGISTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "pipe": ("", {"name": "probe{1"}),
    "nested": ("probe{1", {"name": "probe{1}2"}),
    "null": ("", {"name": "probe", "mode": "NULL", "mem_id": 1}),
    "vale": ("", {"name": "valeprobe:p"}),
    "monitor": ("probe{1", {"name": "probe{1", "flags": "NR_MONITOR_RX"}),
    "extmem": (
        "",
        {
            "name": "probe{1",
            "tx_slots": 8,
            "rx_slots": 8,
            "options": [
                {
                    "type": "EXTMEM",
                    "nr_memsize": 1 << 20,
                    "nr_ring_pool_objtotal": 8,
                    "nr_ring_pool_objsize": 65536,
                    "nr_buf_pool_objtotal": 100,
                }
            ],
        },
    ),
    "csb": ("", {"name": "probe{1", "flags": "NR_EXCLUSIVE", "options": [{"type": "CSB", "entries": 2}]}),
    "offsets": ("", {"name": "probe{1", "options": [{"type": "OFFSETS", "max_offset": 64}]}),
}


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
    asked_for = [(first, args, {capability}) for capability, (first, args) in REGISTERS.items()]
    for first, args, meaning in asked_for + [
        ("", {"name": name}, meaning) for name, meaning in wanted.items()
    ]:
        target.start(header)
        if first:
            target.call(Call(n=1, op="open", fd="F"))
            target.call(Call(n=2, op="register", fd="F", args={"name": first}))
        target.call(Call(n=1, op="open", fd="P"))
        done = target.call(Call(n=2, op="register", fd="P", args=args))
        if done is not None and not done.errno:
            found |= meaning
            name = args["name"]
            asked = target.call(Call(n=2, op="legacy", fd="P", args={"request": "GINFO", "name": name}))
            found |= {"legacy"} if asked is not None and not asked.errno else set()
            target.call(Call(n=3, op="dup", fd="P", args={"to": "Q"}))
            synced = target.call(Call(n=4, op="txsync", fd="Q"))
            found |= {"dup"} if synced is not None and not synced.errno else set()
    if "csb" in found:
        found |= {"kloop"} if _loops(target, header) else set()
        found |= {"eventfds"} if _loops(target, header, EVENTFDS) else set()
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


def _loops(target: DeviceTarget, header: Header, *options: dict[str, Any]) -> bool:
    """Does a sync-kloop, started with these options, run until it is told to stop?"""
    target.start(header)
    target.call(Call(n=1, op="open", fd="P"))
    target.call(Call(n=2, op="register", fd="P", args=REGISTERS["csb"][1]))
    start = {"request": "SYNC_KLOOP_START", "sleep_us": 100, "options": list(options)}
    asleep = target.call(Call(n=3, op="ctl", fd="P", actor="K", args=start)) is None
    target.call(Call(n=4, op="ctl", fd="P", args={"request": "SYNC_KLOOP_STOP"}))
    target.call(Call(n=5, op="join", args={"actor": "K"}))
    return asleep and all(not done.errno for done in target.finished())
