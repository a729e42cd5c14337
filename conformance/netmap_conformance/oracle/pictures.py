"""Pictures of the rings a finding is about: the model's view before, what was seen after."""

from __future__ import annotations

from typing import Any

from ..picture import KERNEL, USER, RingPicture
from ..trace import Return
from .candidate import Candidate


def before(c: Candidate, fd: str, names: list[str]) -> tuple[RingPicture, ...]:
    """The named rings of a descriptor in a candidate: the application's words and the kernel's positions."""
    if not c.bound(fd):
        return ()
    rings = c.world.rings(fd)
    return tuple(_of(c, fd, name, None) for name in names if name in rings)


def after(c: Candidate, fd: str, names: list[str], done: Return) -> tuple[RingPicture, ...]:
    """The same rings with what the return showed of them."""
    if not c.bound(fd) or done.see is None:
        return ()
    rings = c.world.rings(fd)
    found = []
    for name in names:
        if name in rings and name in done.see.rings:
            found.append(_of(c, fd, name, done))
    return tuple(found)


def _of(c: Candidate, fd: str, name: str, done: Return | None) -> RingPicture:
    view, k = c.world.ring(fd, name), c.world.kring(fd, name)
    mem = c.memory(fd)
    slots: dict[int, list[int]] = {}
    fields: dict[str, Any] = {"head": view.head, "cur": view.cur, "tail": view.tail}
    marks = {"hwcur": k.hwcur, "hwtail": k.hwtail}
    if done is not None and done.see is not None:
        fields |= {f: v for f, v in done.see.rings[name].items() if f in fields}
        slots = {entry[0]: entry for entry in done.see.slots.get(name, [])}
    pictured: list[tuple[str, int, int, int]] = []
    for i in range(k.n):
        owner = USER if (i - fields["head"]) % k.n < (fields["tail"] - fields["head"]) % k.n else KERNEL
        if i in slots:
            buf_idx, length, flags = slots[i][1:4]
            pictured.append((owner, buf_idx, length, flags))
        else:
            slot = view.slot[i]
            number = c.to_seen(mem, slot.buf_idx)
            pictured.append((owner, -1 if number is None else number, slot.len, slot.flags))
    label = f"{c.adapter(fd)}:{name}"
    note = "kernel's own positions as the model has them" if done is None else "as seen"
    return RingPicture(label, k.n, fields | (marks if done is None else {}), tuple(pictured), note)
