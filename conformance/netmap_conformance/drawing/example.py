"""The ring in the README: ``python -m netmap_conformance.drawing.example`` prints its SVG.

It is no sketch but a state of the model: a transmit ring of twelve slots whose NIC has sent two of five
packets and reported them; the application has filled two more and not synced yet.
"""

from __future__ import annotations

from netmap_reference.core.choice import Choice
from netmap_reference.gen14.world import PortConfig, World

from ..picture import RingPicture, ring_picture

SLOTS = 12
NOTE = (
    "Slot 0 was sent and is free again; so was slot 1, but one slot always stays with the kernel; 2 to 4 "
    "wait in the NIC; 5 and 6 are filled and go at the next txsync; 7 to 0 are free."
)


def example() -> RingPicture:
    """The picture. Raises ``AssertionError`` when the model no longer allows this state."""
    world = World([PortConfig(name="em0", tx_slots=SLOTS, rx_slots=SLOTS)])
    world.open("A")
    assert world.register("A", {"name": "em0"}, _two_done).outcome.ok
    assert world.mmap("A").outcome.ok
    ring = world.ring("A", "tx0")
    ring.head = ring.cur = 5
    for index in range(7):
        ring.slot[index].len = 60
    assert world.txsync("A", _two_done).outcome.ok
    ring.head = ring.cur = 7
    kring = world.kring("A", "tx0")
    marks = {"head": ring.head, "cur": ring.cur, "tail": ring.tail}
    marks |= {"hwcur": kring.hwcur, "hwtail": kring.hwtail}
    slots = [(ring.slot[i].buf_idx, ring.slot[i].len, ring.slot[i].flags) for i in range(SLOTS)]
    return ring_picture("em0 TX0", SLOTS, marks, slots, NOTE)


def _two_done(choice: Choice) -> int:
    """The NIC has finished two packets, wherever it may say how many."""
    return max(choice.lo, min(choice.hi, 2))


if __name__ == "__main__":
    print(example().to_svg())
