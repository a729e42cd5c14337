"""What netmap writes to the kernel's log when an application breaks a rule of its rings, read back.

A rejected sync leaves one line (at most five a second; the format has not changed since 2015-09)::

    … nm_txsync_prologue vale0:a TX0: fail 'head < kring->rhead || …' h 64 c 64 t 63 rh 0 rc 0 …

``h c t`` are the application's words, ``rh rc rt`` what the kernel kept of the sync before, ``hc ht`` its
``nr_hwcur`` and ``nr_hwtail``; all are printed as signed. An rxsync stores ``h`` and ``c`` before it
checks them, so ``rh`` and ``rc`` repeat them there. In front stand the prefixes of the system's log
(time stamps, host, ``kernel:``) and netmap's own (``123.456789 [1746]``).
Source: luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14:1693-1706 (format), :3216-3217 and :3818-3820
(what the caller gets), netmap_kern.h@89607e14:245-252 (prefix).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from netmap_reference.core.words import i32, u32
from netmap_reference.gen14 import ring as model

from .picture import RingPicture

_NUMBERS = ("h", "c", "t", "rh", "rc", "rt", "hc", "ht")
_LINE = re.compile(
    r"(?:nm_(?P<side>[tr]x)sync_prologue\s+)?(?P<ring>(?:\S+ )?\S+): fail '?(?P<condition>[^']*?)'?\s+"
    + r"\s+".join(rf"{n} (?P<{n}>-?\d+)" for n in _NUMBERS)
    + r"\b"
)
_SIDE = re.compile(r"\b([TR])X\d+$")

Condition: TypeAlias = Callable[["Complaint", int], bool]

#: Every condition the prologues print, kring-> and nr_ left out, as a predicate of (line, ring size).
CONDITIONS: dict[str, Condition] = {
    "hwcur >= n || rhead >= n || rtail >= n || hwtail >= n": lambda x, n: (
        max(x.hwcur, x.rhead, x.rtail, x.hwtail) >= n
    ),
    "hwcur >= n || hwtail >= n": lambda x, n: max(x.hwcur, x.hwtail) >= n,
    "head < rhead || head > rtail": lambda x, n: x.head < x.rhead or x.head > x.rtail,
    "head > rtail && head < rhead": lambda x, n: x.rtail < x.head < x.rhead,
    "head < hwcur || head > hwtail": lambda x, n: x.head < x.hwcur or x.head > x.hwtail,
    "head < hwcur && head > hwtail": lambda x, n: x.hwtail < x.head < x.hwcur,
    "cur < head || cur > rtail": lambda x, n: x.cur < x.head or x.cur > x.rtail,
    "cur > rtail && cur < head": lambda x, n: x.rtail < x.cur < x.head,
    "cur < head || cur > hwtail": lambda x, n: x.cur < x.head or x.cur > x.hwtail,
    "cur < head && cur > hwtail": lambda x, n: x.hwtail < x.cur < x.head,
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One line of a rejected sync. ``side`` is ``tx`` or ``rx``; positions are u32, in slots."""

    side: str
    ring: str
    condition: str
    head: int
    cur: int
    tail: int
    rhead: int
    rcur: int
    rtail: int
    hwcur: int
    hwtail: int

    @property
    def low(self) -> int:
        """First slot that was the application's: where ``head`` may start."""
        return self.rhead if self.side == "tx" else self.hwcur

    @property
    def high(self) -> int:
        """First slot that was not: where ``head`` and ``cur`` must stop."""
        return self.rtail if self.side == "tx" else self.hwtail

    def kernel_positions(self) -> tuple[int, ...]:
        """The positions that are the kernel's own and so below the ring's size, if the kernel is sound."""
        mine = (self.hwcur, self.hwtail, self.rtail)
        return (*mine, self.rhead, self.rcur) if self.side == "tx" else mine


def parse(line: str) -> Complaint | None:
    """The complaint in one line of a log, ``None`` when there is none. A shell may have eaten the quotes."""
    found = _LINE.search(line)
    if found is None:
        return None
    condition = re.sub(r"kring->|\bnr_", "", " ".join(found["condition"].split()))
    side = found["side"]
    if side is None:
        tail = _SIDE.search(found["ring"])
        side = tail[1].lower() + "x" if tail else ("tx" if "rtail" in condition else "rx")
    h, c, t, rh, rc, rt, hc, ht = (u32(int(found[n])) for n in _NUMBERS)
    return Complaint(side, found["ring"], condition, h, c, t, rh, rc, rt, hc, ht)


# --- the ring's size, which the line does not say ---------------------------------------------


def _power_above(value: int) -> int:
    return max(8, 1 << value.bit_length())


def infer_slots(line: Complaint) -> tuple[int, str]:
    """A ring size that fits the line, and why that one."""
    kernel = max(line.kernel_positions())
    if line.side == "tx" and line.hwcur == line.rhead == 0 and line.rtail == line.hwtail > 0:
        return line.hwtail + 1, "a tx ring that has not been used yet ends with its last slot at hwtail"
    least = _power_above(kernel)
    seen = [p for p in (line.head, line.cur) if p != least and p < 1 << 16]
    size = max([least, *(_power_above(p) for p in seen)])
    return size, "the smallest power of two above the positions"


# --- in words ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a complaint means. ``rule`` and ``clause`` are what the model says broke, empty when the fault is
    not the application's; ``text`` is a list of sentences; ``picture`` the ring as the kernel saw it."""

    complaint: Complaint
    slots: int
    slots_why: str
    rule: str
    clause: str
    text: tuple[str, ...]
    picture: RingPicture


def diagnose(line: Complaint, slots: int | None = None) -> Diagnosis:
    """Explain a complaint; ``slots`` is the ring's size where it is known.

    Raises ``ValueError`` (one line) when a position the kernel vouches for does not fit ``slots``.
    """
    insane = line.condition.startswith("hwcur >= n")
    if slots is None:
        n, why = infer_slots(line)
    else:
        n, why = slots, "given"
        top = max(line.kernel_positions())
        if not insane and top >= n:
            raise ValueError(f"the line has kernel position {top}: no ring of {n} slots")
    if insane:
        text = [
            "One of the kernel's own positions is no slot of the ring: this is not the application's "
            "doing in this call, but a ring that was damaged before, or a defect of the driver."
        ]
        return Diagnosis(line, n, why, "", "14.ring.kring-order", tuple(text), _picture(line, n))
    rule = _model_rule(line, n)
    text = _sentences(line, n)
    known = CONDITIONS.get(line.condition)
    if known is None:
        text.append(f"'{line.condition}' is not a condition of upstream's; read by the positions.")
    elif not known(line, n):
        text.append("The positions do not fulfil that condition: a damaged line, or other code.")
    if not rule:
        text.append(f"The model accepts them on a ring of {n} slots: give the true size with --slots.")
    clause = "14.ring.tx-window" if line.side == "tx" else "14.ring.rx-window"
    return Diagnosis(line, n, why, rule, clause, tuple(text), _picture(line, n))


def _model_rule(line: Complaint, n: int) -> str:
    """The rule that the model's own prologue fires when it rejects these positions, empty if it accepts."""
    kring = model.Kring(n, line.hwcur, line.hwtail, line.rhead, line.rcur, line.rtail)
    user = model.UserRing(line.head, line.cur, line.tail)
    prologue = model.tx_prologue if line.side == "tx" else model.rx_prologue
    step = prologue(kring, user, model.CONTRACT)
    return "" if step.state.accepted else step.fired[0]


def _slots(count: int) -> str:
    return "1 slot" if count == 1 else f"{count} slots"


def _sentences(line: Complaint, n: int) -> list[str]:
    """What the application did, why that is wrong, what to do instead."""
    had = model.distance(line.low % n, line.high % n, n)
    span = "no slot" if not had else f"{_slots(had)} ({line.low} … {(line.high - 1) % n})"
    what = "to fill" if line.side == "tx" else "to read and give back"
    out = [f"At this {line.side}sync the application had {span} {what}."]
    guilty = "cur" if _cur_is_guilty(line, n) else "head"
    position = line.cur if guilty == "cur" else line.head
    if position >= n:
        out += _not_a_slot(guilty, position, n)
    elif guilty == "head":
        out += _head_outside(line, n, had)
    else:
        out += _cur_outside(line, n)
    out.append(
        "The sync of this ring was refused and the ring re-initialised. The sync ioctl returns 0 all the "
        "same, only a poll says POLLERR: often this line is all there is to see."
    )
    return out


def _cur_is_guilty(line: Complaint, n: int) -> bool:
    """Is it ``cur`` that broke the rule, ``head`` being fine?"""
    return line.head < n and model.between(line.low, line.head, line.high)


def _not_a_slot(name: str, position: int, n: int) -> list[str]:
    if position == n:
        return [
            f"{name} is {n}, one past the last slot: positions run from 0 to {n - 1} and start over. "
            "The index was counted up with +1 instead of nm_ring_next()."
        ]
    if i32(position) < 0:
        return [
            f"{name} is {i32(position)} as a signed number ({position} unsigned): it was counted down "
            f"below 0, or by a subtraction that does not wrap; positions run from 0 to {n - 1}."
        ]
    return [f"{name} is {position}, no slot: positions run from 0 to {n - 1} (nm_ring_next() wraps)."]


def _head_outside(line: Complaint, n: int, had: int) -> list[str]:
    beyond = model.distance(line.high, line.head, n)
    behind = model.distance(line.head, line.low, n)
    if beyond <= behind:
        said = "announced" if line.side == "tx" else "gave back"
        return [
            f"It {said} {_slots(had + beyond)}: head went from {line.low} to {line.head}, {beyond} past the "
            f"kernel's tail ({line.high}). head may go up to tail and no further: take at most "
            f"nm_ring_space() slots before the next sync."
        ]
    return [
        f"head went back by {_slots(behind)}, from {line.low} to {line.head}. What was given to the kernel "
        f"is the kernel's: head only moves forward, and never from a copy of an older position."
    ]


def _cur_outside(line: Complaint, n: int) -> list[str]:
    if model.distance(line.cur, line.head, n) <= model.distance(line.high, line.cur, n):
        return [
            f"cur ({line.cur}) is behind head ({line.head}): slots before head are no longer the "
            "application's, so it cannot wait there. Set head and cur together; cur may be ahead of head, "
            "never behind."
        ]
    return [
        f"cur ({line.cur}) is past the kernel's tail ({line.high}): it may go up to tail, which means "
        f"'wake me when there is more', and no further."
    ]


def _picture(line: Complaint, n: int) -> RingPicture:
    marks = {"head": line.head, "cur": line.cur, "tail": line.tail, "hwcur": line.hwcur}
    if line.side == "tx":
        marks |= {"rhead": line.rhead, "rcur": line.rcur}
    marks |= {"rtail": line.rtail, "hwtail": line.hwtail}
    slots: tuple[tuple[str, int, int, int], ...] = ()
    if line.low < n and line.high < n:
        had = model.distance(line.low, line.high, n)
        mine = {(line.low + i) % n for i in range(had)}
        slots = tuple(("user" if i in mine else "kernel", -1, -1, -1) for i in range(n))
    return RingPicture(line.ring, n, marks, slots, f"broken: {line.condition}")


# --- the other lines of a rejected ring -------------------------------------------------------

#: pattern -> (clause, what it means); groups are named in the text.
OTHERS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"(?P<ring>\S+ [TR]X\d+) tail overwritten was (?P<was>-?\d+) need (?P<need>-?\d+)"),
        "14.ring.tail-is-kernels",
        "The application stored {was} in the tail of {ring}; tail is the kernel's word, {need} was put back. "
        "It costs nothing but this line, yet a program that writes tail has misread the protocol.",
    ),
    (
        re.compile(r"bad index at slot (?P<slot>\d+) idx (?P<idx>-?\d+) len (?P<len>-?\d+)"),
        "14.ring.reinit-slots",
        "While a rejected ring was put back, slot {slot} named buffer {idx}, which is none of the pool's "
        "(0 and 1 are reserved): the slot now has buf_idx 0. A buffer that was swapped out must be swapped "
        "back in.",
    ),
    (
        re.compile(r"bad len at slot (?P<slot>\d+) idx (?P<idx>-?\d+) len (?P<len>-?\d+)"),
        "14.ring.reinit-slots",
        "While a rejected ring was put back, slot {slot} had a len larger than a buffer (buf_idx {idx}): "
        "its len is now 0.",
    ),
    (
        re.compile(
            r"(?P<ring>\S+ [TR]X\d+) reinit, cur (?P<cur>-?\d+) -> (?P<hwcur>\d+) "
            r"tail (?P<tail>-?\d+) -> (?P<hwtail>\d+)"
        ),
        "14.ring.reinit-resets",
        "{ring} was put back to the kernel's positions: head and cur from {cur} to {hwcur}, tail from "
        "{tail} to {hwtail}. The application must read them again before it goes on.",
    ),
    (
        re.compile(r"netmap_ring_reinit\s+called for (?P<ring>\S+ [TR]X\d+)"),
        "14.ring.reinit-resets",
        "A sync of {ring} was refused and the ring is being put back; the line before this one says why.",
    ),
)


def other(line: str) -> tuple[str, str] | None:
    """``(clause, explanation)`` of another line that netmap writes about a broken ring."""
    for pattern, clause, text in OTHERS:
        found = pattern.search(line)
        if found:
            return clause, text.format(**found.groupdict())
    return None
