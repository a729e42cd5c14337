"""Generation 2011: whole calls on the host rings, alone: frames to the stack, frames from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, ReadUser, SelRecord, Unlock, Wake, WriteUser
from netmap_reference.gen2011 import interrupts, ring
from netmap_reference.gen2011.attach import Adapter
from netmap_reference.gen2011.memory import BUF_SIZE
from netmap_reference.gen2011.ports import host

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, every
from ..schemas.alone import Words, quiet

Make = Callable[..., Protocol]
Kring = ring.Kring
_N, _TOTAL = 3, 10
_B = (False, True)
_NA = Adapter("nic0", 1, _N, _N, True)
_TX, _RX = f"tx{_NA.host}", f"rx{_NA.host}"


def _ring(name: str, k: Kring, cur: int, lengths: tuple[int, ...], indices: tuple[int, ...]) -> Words:
    words: Words = {
        (name, "kring"): k,
        (name, "cur"): cur,
        (name, "avail"): k.hwavail,
        (name, "flags"): 0,
        ("mem", "total"): _TOTAL,
        ("sysctl", "verbose"): 0,
        ("if", "capenable"): True,
    }
    for i in range(_N):
        words[name, "slot", i, "len"] = lengths[i]
        words[name, "slot", i, "buf_idx"] = indices[i]
    return words


# --- to the host ----------------------------------------------------------------------------------------


def up_body(p: Proof, sync_to_host: Make) -> None:
    cases = Cases(p, "calls")
    lengths_of = (60, 13, 14, BUF_SIZE, BUF_SIZE + 1)
    for hwcur, cur, verbose, memory_left in every(
        p, "combinations", range(_N), range(_N + 2), (1, 2), (0, 1, 9)
    ):
        for first, second, third in every(p, "lengths", lengths_of, (60, 13), (60, BUF_SIZE + 1)):
            lengths, indices = (first, second, third), (4, 5, 6)
            cases.case(hwcur=hwcur, cur=cur, lengths=lengths, mbufs=memory_left)
            words = _ring(_TX, Kring(_N, hwcur, _N - 1), cur, lengths, indices)
            words["sysctl", "verbose"] = verbose
            left = [memory_left]

            def devget(memory: Words, args: tuple[Any, ...], left: list[int] = left) -> Any:
                left[0] -= 1
                return args if left[0] >= 0 else None

            done = cases.run(
                sync_to_host,
                _NA,
                p.switches,
                memory=words,
                do={**quiet("log", "send_up"), "m_devget": devget},
            )
            told = (host.TO_LOCKED in done.fired, host.TO_UNLOCKED in done.fired)
            unlocked = host.UNLOCKED in p.switches
            cases.goal("the rules say so", told == (not unlocked, unlocked))
            locks = done.of(Lock, Unlock)
            cases.goal("the ring is used under the core lock", locks == [Lock("core"), Unlock("core")])
            if cur >= _N:
                cases.goal("a cur beyond the ring is rejected", done.result == 1, done.done("m_devget") == [])
                cases.goal("a rejected ring is put back", done.memory[_TX, "cur"] == hwcur)
                continue
            slots = [(hwcur + i) % _N for i in range((cur - hwcur) % _N)]
            good = [i for i in slots if 14 <= lengths[i] <= BUF_SIZE]
            sent = good[:memory_left]
            tried = good[: memory_left + 1]
            cases.goal("it succeeds", done.result == 0)
            cases.goal(
                "every frame of a good length is copied, in order, until memory runs out",
                done.done("m_devget") == [(indices[i], lengths[i]) for i in tried],
            )
            cases.goal(
                "what was copied goes up, in order",
                done.done("send_up") == [((indices[i], lengths[i]),) for i in sent],
            )
            after = done.memory[_TX, "kring"]
            cases.goal(
                "the ring is drained", after == Kring(_N, cur, _N - 1), done.memory[_TX, "avail"] == _N - 1
            )
            walked = slots[: slots.index(tried[-1]) + 1] if len(tried) > memory_left else slots
            cases.goal(
                "each length is read once",
                all(done.reads(_TX, "slot", i, "len") == (i in walked) for i in range(_N)),
            )
            cases.goal("the rules say so", (host.TO_READ_ONCE in done.fired) == (tried != []))
            said = sum(1 for i in walked if i not in good) + (len(sent) if verbose & 2 else 0)
            cases.goal("what is wrong, and what is asked for, is logged", len(done.done("log")) == said)
            up = done.at(*[Do("send_up", ((indices[i], lengths[i]),)) for i in sent])
            cases.goal(
                "frames go up without the lock", not up or up[0] > max(done.at(Unlock("core")), default=-1)
            )
    cases.end()


def _drops_first(na: Any, switches: frozenset[str]) -> Protocol:
    """The first frame is copied and never passed up."""
    seen = []

    def dropped(effect: Any) -> bool:
        if isinstance(effect, Do) and effect.what == "send_up":
            seen.append(effect)
            return len(seen) == 1
        return False

    return without(host.sync_to_host(na, switches), dropped)


obligation(
    "2011.host.to-host",
    clauses=(
        "2011.host.tx-up",
        "2011.host.tx-drained",
        "2011.host.tx-length",
        "2011.host.tx-read-once",
        "2011.host.tx-drop",
        "2011.host.tx-serial",
        "2011.ring.cur-inside",
    ),
    statement="""Passing the host transmit ring up copies each frame of a good length between hwcur and cur,
    once, in order, until memory runs out, under the core lock; they go up without it; the ring is empty
    afterwards whatever happened to them. A cur beyond the ring puts the ring back.""",
    functions=(host.sync_to_host,),
    control=Control("the first frame is lost", _drops_first, goal="what was copied goes up, in order"),
    bounds="""A ring of three slots, every hwcur and cur, lengths on both sides of both limits, memory for
    none, one or all.""",
    rules=(
        host.TO_SENT,
        host.TO_BAD_LEN,
        host.TO_BAD_CUR,
        host.TO_NO_MBUF,
        host.TO_DRAINED,
        host.TO_LOCKED,
        host.TO_READ_ONCE,
    ),
)(up_body)


# --- from the host --------------------------------------------------------------------------------------


def down_body(p: Proof, sync_from_host: Make) -> None:
    cases = Cases(p, "calls")
    for hwcur, avail, cur, record, verbose in every(
        p, "combinations", range(_N), range(_N), range(_N + 2), _B, (1, 2)
    ):
        cases.case(hwcur=hwcur, hwavail=avail, cur=cur, record=record)
        words = _ring(_RX, Kring(_N, hwcur, avail), cur, (60,) * _N, (4, 5, 6))
        words["sysctl", "verbose"] = verbose
        done = cases.run(sync_from_host, _NA, record, p.switches, memory=words, do=quiet("log"))
        after = done.memory[_RX, "kring"]
        told = (host.FROM_READ in done.fired, host.FROM_READ_EARLY in done.fired)
        early = host.READS_CUR_EARLY in p.switches
        cases.goal("the rules say so", told == (not early, early))
        taken = (cur - hwcur) % _N
        fair = cur < _N and taken <= avail
        cases.goal("rejected exactly when more was taken than there was", done.result == int(not fair))
        cases.goal(
            "cur is read under the lock", done.at(ReadUser((_RX, "cur")))[0] > done.at(Lock("core"))[0]
        )
        where = [e.selinfo for e in done.of(SelRecord)]
        if fair:
            left = avail - taken
            cases.goal(
                "what is left is told", after == Kring(_N, cur, left), done.memory[_RX, "avail"] == left
            )
            cases.goal(
                "who asks for it is recorded when nothing is left",
                where == ([_RX] if record and left == 0 else []),
            )
            recorded, given = done.at(SelRecord(_RX)), done.at(Unlock("core"))
            cases.goal("and under the lock", not recorded or recorded[0] < given[0])
            cases.goal("logged when asked for", len(done.done("log")) == int(bool(left and verbose & 2)))
        else:
            cases.goal(
                "a rejected ring is put back",
                after == Kring(_N, hwcur, avail),
                done.memory[_RX, "cur"] == hwcur,
            )
            cases.goal("nobody is recorded on a rejected ring", where == [])
    cases.end()


obligation(
    "2011.host.from-host",
    clauses=("2011.host.rx-window", "2011.host.rx-record", "2011.host.rx-serial"),
    statement="""Receiving from the host reads cur under the core lock, takes the slots up to it back when
    there were so many, tells what is left and, when nothing is, records the caller that asks for it before
    the lock is given back.""",
    functions=(host.sync_from_host,),
    control=Control(
        "nobody is recorded",
        lambda na, record, switches: host.sync_from_host(na, False, switches),
    ),
    bounds="A ring of three slots, every position, count and cur, and two beyond the ring.",
    rules=(host.FROM_OK, host.FROM_BAD_CUR, host.FROM_TOO_FAR, host.FROM_WAITS, host.FROM_READ),
)(down_body)


# --- a packet from the stack ----------------------------------------------------------------------------


def start_body(p: Proof, start: Make) -> None:
    cases = Cases(p, "calls")
    for on, hwcur, avail, length, verbose in every(
        p, "combinations", _B, range(_N), range(-1, _N), (60, BUF_SIZE, BUF_SIZE + 1), (1, 2)
    ):
        cases.case(mode=on, hwcur=hwcur, hwavail=avail, length=length)
        k = Kring(_N, hwcur, avail)
        words = _ring(_RX, k, 0, (1, 1, 1), (4, 5, 6)) | {
            ("if", "capenable"): on,
            ("sysctl", "verbose"): verbose,
        }
        done = cases.run(
            start, _NA, length, p.switches, memory=words, do=quiet("log", "m_copydata", "m_freem")
        )
        locks = done.of(Lock, Unlock)
        cases.goal("under the core lock, in any case", locks == [Lock("core"), Unlock("core")])
        cases.goal(
            "the packet is freed, once, without the lock",
            done.at(Do("m_freem"))[0] > done.at(Unlock("core"))[0],
        )
        fits = on and 0 <= avail < _N - 1 and length <= BUF_SIZE
        cases.goal("refused exactly when there is no room for it", done.result == ("" if fits else "EBUSY"))
        asked = int(bool(verbose & 2))
        logs = asked + (
            asked if fits else int(on and (avail >= _N - 1 or (avail >= 0 and length > BUF_SIZE)))
        )
        cases.goal("what is wrong, and what is asked for, is logged", len(done.done("log")) == logs)
        after = done.memory[_RX, "kring"]
        stored = done.of(WriteUser)
        if not fits:
            cases.goal("a refused packet changes nothing", after == k, stored == [], done.of(Wake) == [])
            continue
        at = (hwcur + avail) % _N
        cases.goal(
            "it goes behind those that are there", stored == [WriteUser((_RX, "slot", at, "len"), length)]
        )
        cases.goal("into the buffer of its slot", done.done("m_copydata") == [(4 + at,)])
        cases.goal("one packet more is there", after == Kring(_N, hwcur, avail + 1))
        cases.goal(
            "who waits is woken, after that", done.of(Wake) == [Wake(_RX)], isinstance(done.log[-3], Wake)
        )
    cases.end()


obligation(
    "2011.host.start",
    clauses=(
        "2011.host.rx-put",
        "2011.host.rx-full",
        "2011.host.rx-long",
        "2011.host.rx-mode",
        "2011.host.rx-position",
    ),
    statement="""A packet from the stack goes behind those that are there and wakes who waits, or is refused:
    out of netmap mode, when the ring is full, when it is longer than a buffer. It is freed in any case.""",
    functions=(interrupts.start,),
    control=Control(
        "nobody is woken",
        lambda na, length, switches: without(
            interrupts.start(na, length, switches), lambda e: isinstance(e, Wake)
        ),
    ),
    bounds="""A ring of three slots, every position and count, also a negative one, lengths on both sides of
    the limit.""",
    rules=(
        interrupts.START_FULL,
        interrupts.START_LONG,
        interrupts.START_PUT,
        interrupts.START_BAD_POS,
        interrupts.START_GONE,
    ),
)(start_body)


# --- as written -----------------------------------------------------------------------------------------


def _as_written(
    id: str,
    finding: str,
    body: Callable[..., None],
    function: Make,
    switch: str,
    rules: tuple[str, ...],
    refutes: set[str],
    clauses: tuple[str, ...],
    statement: str,
    control: Control,
) -> None:
    obligation(
        id,
        clauses=clauses,
        statement=statement,
        functions=(function,),
        control=control,
        bounds="As the obligation for the contract.",
        switches={switch},
        rules=rules,
        finding=finding,
        refutes=refutes,
    )(body)


_as_written(
    "2011.host.to-host.as-written.unlocked",
    "F2011-018",
    up_body,
    host.sync_to_host,
    host.UNLOCKED,
    (host.TO_UNLOCKED, host.TO_SENT),
    {"the ring is used under the core lock"},
    ("2011.host.tx-serial",),
    "As 2011.host.to-host, without a lock.",
    Control(
        "as written, and the first frame is lost", _drops_first, goal="what was copied goes up, in order"
    ),
)
_as_written(
    "2011.host.from-host.as-written.early",
    "F2011-017",
    down_body,
    host.sync_from_host,
    host.READS_CUR_EARLY,
    (host.FROM_READ_EARLY, host.FROM_OK),
    {"cur is read under the lock"},
    ("2011.host.rx-serial",),
    "As 2011.host.from-host, with cur read before the lock is taken.",
    Control(
        "as written, and nobody is recorded",
        lambda na, record, switches: host.sync_from_host(na, False, switches),
        goal="who asks for it is recorded when nothing is left",
    ),
)
_as_written(
    "2011.host.start.as-written.late",
    "F2011-016",
    start_body,
    interrupts.start,
    interrupts.START_UNMARKED,
    (interrupts.START_DANGLES, interrupts.START_PUT),
    {
        "refused exactly when there is no room for it",
        "a refused packet changes nothing",
        "what is wrong, and what is asked for, is logged",
    },
    ("2011.host.rx-mode",),
    "As 2011.host.start, and nobody looks whether the interface is still in netmap mode.",
    Control(
        "as written, and nobody is woken",
        lambda na, length, switches: without(
            interrupts.start(na, length, switches), lambda e: isinstance(e, Wake)
        ),
        goal="who waits is woken, after that",
    ),
)
