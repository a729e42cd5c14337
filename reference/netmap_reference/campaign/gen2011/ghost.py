"""What the checks know beyond the state: who was recorded where, which words users wrote over.

A ghost follows from the operations made; it never decides what the model does.
"""

from __future__ import annotations

from typing import Any

from ...gen2011.world import World


class Ghost:
    """The history that a state does not show.

    ``astray``: transmit rings (interface, queue) whose driver called `netmap_reset` while the NIC was
    not idle at the new position, until they are initialised again; what the driver broke, the kernel
    cannot keep. ``waiting``: who was recorded on each selinfo and not woken since. ``in_hand``: the
    buffers that a user holds between the two stores of a swap.
    """

    def __init__(self) -> None:
        self.astray: set[tuple[str, int]] = set()
        self.waiting: dict[str, dict[str, set[int]]] = {}
        self.in_hand: frozenset[int] = frozenset()
        self._over: set[int] = set()

    def expected(self, name: str) -> dict[str, set[int]]:
        """The sleepers of an interface by selinfo."""
        return self.waiting.setdefault(name, {})

    def defaced(self, at: int, size: int) -> bool:
        """Did a dishonest user write over any of these bytes?"""
        return bool(self._over) and not self._over.isdisjoint(range(at, at + size))

    def stored(self, written: list[tuple[int, int]], end: int, dishonest: bool) -> None:
        """Remember which bytes before ``end`` a dishonest user wrote last; the kernel's stores heal them."""
        if not dishonest and not self._over:
            return
        for at, length in written:
            if at < end:
                bytes_ = range(at, min(at + length, end))
                if dishonest:
                    self._over.update(bytes_)
                else:
                    self._over.difference_update(bytes_)

    def before(self, world: World, op: str, args: dict[str, Any]) -> None:
        """An operation is about to be made."""
        if op == "netmap_reset" and args["tx"]:
            iface = world.ifs[args["ifname"]]
            if iface.enabled and iface.na is not None:
                nic = iface.tx[args["n"]]
                idle = nic.head == nic.tail == nic.clean == args["new_cur"]
                (self.astray.discard if idle else self.astray.add)((iface.name, args["n"]))

    def after(self, world: World, op: str, args: dict[str, Any]) -> None:
        """An operation was made."""
        if op in ("reset", "reload"):
            self._over.clear()
        if op == "reset":
            self.astray.clear()
            self.waiting.clear()
        elif op == "nic_init" and world.ifs[args["ifname"]].enabled:
            self._restarted(args["ifname"])
        elif op == "attach":
            self._restarted(args["name"])
            self.waiting.pop(args["name"], None)
        for event in world.events:
            if event[0] == "SR":
                selinfo, _, name = event[1].partition(":")
                self.expected(name).setdefault(selinfo, set()).add(event[2])
            elif event[0] == "WK":
                selinfo, _, name = event[1].partition(":")
                self.expected(name).pop(selinfo, None)
            elif event[0] == "REGISTER" and event[2]:  # switched off, the rings' krings stay as they were
                self._restarted(event[1])

    def _restarted(self, name: str) -> None:
        self.astray = {ring for ring in self.astray if ring[0] != name}
