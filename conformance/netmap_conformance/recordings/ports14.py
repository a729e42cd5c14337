"""The ports of a recording of API 14: from its ``ip link`` commands and what REGISTER said about them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..trace import FORMAT, Header, Port, TraceError
from .lines14 import Lines, want

_LINK_ADD = re.compile(r"\bip link add (?P<name>\S+)(?P<rest>.*?)\btype veth peer name (?P<peer>[^\s;]+)")
_LINK_MTU = re.compile(r"\bip link set (?P<name>\S+) .*?\bmtu (?P<mtu>\d+)")
_LINK_UP = re.compile(r"\bip link set (?P<name>eth\d+) up\b")
#: More of a network port is a slip of the recording.
MAX_RINGS, MAX_SLOTS = 1024, 1 << 16


def header(lines: Lines, path: str) -> Header:
    """The header of the trace. Recordings in a folder ``native`` had netmap's own drivers."""
    native = Path(path).parent.name == "native"
    ports = {"lo": Port(name="lo", kind="host-only", mtu=65536)}
    for _, line in lines:
        command = str(line["op"])
        if command.startswith("sh "):
            _links(ports, command, native)
    _found(ports, lines)
    _shapes(ports, lines, path)
    return Header(
        netmap_trace=FORMAT,
        generation="14",
        title=Path(path).name.split(".")[0],
        target="linux-netmap-native-drivers" if native else "linux-netmap",
        initial="unknown",
        ports=list(ports.values()),
        source=Path(path).name,
    )


def _links(ports: dict[str, Port], command: str, native: bool) -> None:
    """What a shell command says about ports."""
    pair = _LINK_ADD.search(command)
    if pair:
        for name, peer in ((pair["name"], pair["peer"]), (pair["peer"], pair["name"])):
            ports[name] = _port(name, peer, "veth" if native else "")
    for name in (m["name"] for m in _LINK_UP.finditer(command)):
        ports[name] = _port(name, {"eth0": "eth1", "eth1": "eth0"}.get(name, ""), "e1000" if native else "")
    for part in command.split(";"):
        mtu = _LINK_MTU.search(part)
        if mtu and mtu["name"] in ports:
            ports[mtu["name"]].mtu = int(mtu["mtu"])


def _found(ports: dict[str, Port], lines: Lines) -> None:
    """Interfaces that nobody made here: PORT_INFO_GET told of their host rings."""
    for _, line in lines:
        words, out = str(line["op"]).split(), line.get("out")
        if words[:1] == ["ctl"] and words[2:3] == ["PORT_INFO_GET"] and isinstance(out, dict):
            name = words[3] if len(words) > 3 else ""
            if line.get("ret") == 0 and out.get("nr_host_tx_rings") and name not in ports:
                ports[name] = _port(name, "", "")


def _port(name: str, peer: str, driver: str) -> Port:
    """A port with this driver of its own, or emulated when it is empty."""
    if driver:
        return Port(name=name, peer=peer, driver=driver)
    return Port(name=name, peer=peer, emulated=True)


def _count(out: Any, name: str, most: int, where: str) -> int:
    if not isinstance(out, dict):
        raise TraceError(f"{where}: 'out' is {out!r}, not an object")
    value: int = want(out, name, int, where)
    if not 0 < value <= most:
        raise TraceError(f"{where}: a port cannot have {name} {value}")
    return value


def _shapes(ports: dict[str, Port], lines: Lines, path: str) -> None:
    """Rings and slots of each port, from its first successful REGISTER.

    The ends of a pair that shares its rings have the same ones, whichever is bound first.
    """
    known: set[str] = set()
    for number, line in lines:
        words, out = str(line["op"]).split(), line.get("out")
        if len(words) < 3 or words[0] != "reg" or words[2] not in ports or line.get("ret") != 0 or not out:
            continue
        port = ports[words[2]]
        where = f"{path}:{number}"
        shape = {
            t: (
                _count(out, f"nr_{t}_rings", MAX_RINGS, where),
                _count(out, f"nr_{t}_slots", MAX_SLOTS, where),
            )
            for t in ("tx", "rx")
        }
        if port.name not in known:
            known.add(port.name)
            (port.tx_rings, port.tx_slots), (port.rx_rings, port.rx_slots) = shape["tx"], shape["rx"]
        if port.driver == "veth" and port.peer not in known:
            known.add(port.peer)
            peer = ports[port.peer]
            (peer.rx_rings, peer.rx_slots), (peer.tx_rings, peer.tx_slots) = shape["tx"], shape["rx"]
