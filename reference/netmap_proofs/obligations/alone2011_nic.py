"""Generation 2011: the driver's two syncs as whole calls, alone, on small rings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netmap_reference.core.effects import Do, Lock, Protocol, ReadUser, Unlock, WriteUser
from netmap_reference.gen2011 import ring, sync
from netmap_reference.gen2011.attach import Adapter
from netmap_reference.gen2011.memory import BUF_SIZE
from netmap_reference.gen2011.ports import nic, nicring

from ..engine import Proof
from ..explorer.scenario import without
from ..obligation import Control, obligation
from ..schemas import Cases, Done, every
from ..schemas.alone import Answers, Words, quiet

Make = Callable[..., Protocol]
Kring = ring.Kring
_N, _TOTAL = 3, 10
_B = (False, True)
_BUFFERS = (4, 5, 6)


def _words(name: str, k: Kring, cur: int, slots: tuple[tuple[int, int, int], ...]) -> Words:
    """``slots`` as (buf_idx, len, flags)."""
    words: Words = {
        (name, "kring"): k,
        (name, "cur"): cur,
        (name, "avail"): 77,
        (name, "flags"): 0,
        ("mem", "total"): _TOTAL,
        ("sysctl", "verbose"): 0,
        ("sysctl", "no_pendintr"): 0,
    }
    for i, (index, length, flags) in enumerate(slots):
        words[name, "slot", i, "buf_idx"] = index
        words[name, "slot", i, "len"] = length
        words[name, "slot", i, "flags"] = flags
    return words


def _answers(card: Any, look: str, *told: str) -> Answers:
    """The driver looks at its card's ring by ``look``; the rest it only tells."""
    return {**quiet(*told), look: lambda memory, args: card}


def _locks(cases: Cases, na: Adapter, name: str, lock: bool, done: Done) -> None:
    own = name if na.separate_locks else "core"
    wanted = [Lock(own), Unlock(own)] if lock else []
    taken = done.of(Lock, Unlock)
    refused = taken == [] and done.result == 1
    cases.goal("the ring's own lock is taken when asked for, and given back", taken == wanted or refused)
    if lock:
        cases.goal(
            "cur is read under the lock",
            done.at(ReadUser((name, "cur")))[0] > (done.at(Lock(own)) or [len(done.log)])[0],
        )


def _early(p: Proof, cases: Cases, done: Done) -> None:
    early = nic.READS_CUR_EARLY in p.switches
    told = (nic.CUR_LOCKED in done.fired, nic.CUR_EARLY in done.fired)
    cases.goal("the rules say so", told == (not early, early))


def _put_back(cases: Cases, name: str, k: Kring, done: Done) -> None:
    after = (done.memory[name, "cur"], done.memory[name, "avail"], done.result)
    kept = done.memory[name, "kring"]
    cases.goal(
        "a rejected ring is put back to the kernel's positions", after == (kept.hwcur, kept.hwavail, 1)
    )
    cases.goal("a rejected sync takes no slots over", kept.hwcur == k.hwcur)


# --- transmit -------------------------------------------------------------------------------------------


def tx_body(p: Proof, txsync: Make) -> None:
    cases = Cases(p, "calls")
    good, marked = (4, 60, 0), (5, BUF_SIZE, ring.NS_BUF_CHANGED | ring.NS_REPORT | 8)
    kinds = (good, marked, (0, 60, 0), (_TOTAL - 1, 1, 0), (_TOTAL, 60, 0), (4, BUF_SIZE + 1, 0), (1, 60, 2))
    shapes = [(a, good, good) for a in kinds] + [(good, b, marked) for b in kinds]
    for hwcur, avail, cur, hwofs, lock in every(
        p, "combinations", range(_N), range(_N), range(_N + 1), (-1, 0, 1), _B
    ):
        for number, slots in enumerate(shapes):
            if number and hwofs and avail:
                continue
            na = Adapter("nic0", 1, _N, _N, number % 2 == 0)
            k = Kring(_N, hwcur, avail, hwofs)
            sent_before = (_N - 1 - avail) % _N
            done_by_nic = min(1, sent_before)
            card = nicring.TxRing(_N, head=done_by_nic, tail=sent_before, clean=0)
            cases.case(hwcur=hwcur, hwavail=avail, cur=cur, hwofs=hwofs, lock=lock, slots=slots)
            do = _answers(card, "nic.tx", "log", "nic.tx_desc", "nic.tx_tail", "nic.tx_clean")
            done = cases.run(txsync, na, 0, lock, p.switches, memory=_words("tx0", k, cur, slots), do=do)
            _locks(cases, na, "tx0", lock, done)
            _early(p, cases, done)
            looked = done.fired.count(sync.CUR_OK) + done.fired.count(sync.CUR_BAD)
            cases.goal("cur is compared with the ring's size once", looked == 1)
            new = [(hwcur + i) % _N for i in range((cur - hwcur) % _N)] if cur < _N else []
            fair = cur < _N and len(new) <= avail
            valid = [i for i in new if 1 <= slots[i][0] < _TOTAL and slots[i][1] <= BUF_SIZE]
            sound = fair and valid == new
            prefix = new[: next((n for n, i in enumerate(new) if i not in valid), len(new))] if fair else []
            maps = [(0, (i - hwofs) % _N, slots[i][0], slots[i][1]) for i in prefix]
            cases.goal(
                "a descriptor for each new slot, in order, of its buffer and length",
                done.done("nic.tx_desc") == maps,
            )
            tails = [(0, (cur - hwofs) % _N)] if sound and new else []
            cases.goal(
                "the NIC is started behind the last, once, if all were good",
                done.done("nic.tx_tail") == tails,
            )
            cleared = [
                WriteUser(("tx0", "slot", i, "flags"), slots[i][2] & 8) for i in prefix if slots[i][2] & 3
            ]
            written = [e for e in done.of(WriteUser) if e.where[1] == "slot" and sound]
            cases.goal(
                "NS_BUF_CHANGED and NS_REPORT are cleared, other flags stay", not sound or written == cleared
            )
            if not sound:
                _put_back(cases, "tx0", k, done)
                cases.goal("the rules say so", not {nic.TX_RECLAIM, nic.TX_NO_RECLAIM} & set(done.fired))
                continue
            left = avail - len(new)
            reclaims = lock or left == 0
            cases.goal(
                "completions are looked at when asked for or when nothing is left",
                len(done.done("nic.tx")) == int(reclaims),
            )
            cases.goal(
                "the rules say so",
                (nic.TX_RECLAIM in done.fired, nic.TX_NO_RECLAIM in done.fired) == (reclaims, not reclaims),
            )
            left += done_by_nic if reclaims else 0
            after = done.memory["tx0", "kring"]
            cases.goal(
                "hwcur is cur and hwavail what is free now", after == replace(k, hwcur=cur, hwavail=left)
            )
            cases.goal("avail tells it", done.memory["tx0", "avail"] == left, done.result == 0)
            cases.goal(
                "the driver remembers how far it looked",
                done.done("nic.tx_clean") == ([(0, done_by_nic)] if reclaims else []),
            )
    cases.end()


obligation(
    "2011.driver.txsync-call",
    clauses=(
        "2011.driver.tx-slot",
        "2011.driver.tx-reclaim",
        "2011.driver.cur-under-lock",
        "2011.ring.sync-window",
        "2011.ring.hwofs",
        "2011.ring.completions",
        "2011.ring.positions",
    ),
    statement="""A driver's txsync makes a descriptor of each slot between hwcur and cur, in order, at the
    NIC's own index, and starts the NIC behind the last one when all are good; it takes completions back when
    asked for or when nothing is left, under the ring's lock. Otherwise the ring is put back and the NIC is
    not started.""",
    functions=(nic.txsync,),
    control=Control(
        "the NIC is never started",
        lambda na, q, lock, switches: without(
            nic.txsync(na, q, lock, switches), lambda e: isinstance(e, Do) and e.what == "nic.tx_tail"
        ),
    ),
    bounds="""A ring of three slots, every position, count and cur, three offsets, slots with a fault of each
    kind at two places.""",
    rules=(
        sync.CUR_OK,
        sync.CUR_BAD,
        sync.TAKE_OK,
        sync.TAKE_TOO_FAR,
        sync.GIVE,
        sync.GIVE_NONE,
        nic.TX_BAD_SLOT,
        nic.TX_SLOT,
        nic.TX_RECLAIM,
        nic.TX_NO_RECLAIM,
        nic.CUR_LOCKED,
    ),
)(tx_body)


# --- receive --------------------------------------------------------------------------------------------


def rx_body(p: Proof, rxsync: Make) -> None:
    cases = Cases(p, "calls")
    good, marked = (4, 60, 0), (5, 60, ring.NS_BUF_CHANGED | 8)
    shapes = [
        (a, good, marked) for a in (good, marked, (0, 60, 0), (1, 60, 2), (_TOTAL - 1, 9, 0), (_TOTAL, 60, 0))
    ]
    for hwcur, avail, cur, hwofs, lock, pending, arrived in every(
        p, "combinations", range(_N), range(_N), range(_N + 1), (-1, 0, 1), _B, _B, (0, 1, 2)
    ):
        if arrived > _N - 1 - avail:
            continue
        for number, slots in enumerate(shapes):
            if number and (hwofs or arrived == 2):
                continue
            na = Adapter("nic0", 1, _N, _N, number % 2 == 0)
            k = Kring(_N, hwcur, avail, hwofs, (nic.PENDINTR if pending else 0) | 4)
            check = (hwcur + avail - hwofs) % _N
            filled = [(check + i) % _N for i in range(arrived)]
            card = nicring.RxRing(
                _N,
                check=check,
                done=tuple(i in filled for i in range(_N)),
                length=(100, 101, 102),
                buffer=_BUFFERS,
            )
            cases.case(
                hwcur=hwcur,
                hwavail=avail,
                cur=cur,
                hwofs=hwofs,
                lock=lock,
                pending=pending,
                arrived=arrived,
                slots=slots,
            )
            words = _words("rx0", k, cur, slots)
            words["sysctl", "no_pendintr"] = int(number == 1)
            do = _answers(card, "nic.rx", "log", "nic.rx_desc", "nic.rx_check", "nic.rx_tail")
            done = cases.run(rxsync, na, 0, lock, p.switches, memory=words, do=do)
            _locks(cases, na, "rx0", lock, done)
            _early(p, cases, done)
            looked = done.fired.count(sync.CUR_OK) + done.fired.count(sync.CUR_BAD)
            cases.goal("cur is compared with the ring's size once", looked == 1)
            looks = cur < _N and (lock or pending or number == 1)
            cases.goal(
                "finished descriptors are looked at when asked for or when an interrupt told of them",
                len(done.done("nic.rx")) == int(looks),
            )
            came = arrived if looks else 0
            at = [(i + hwofs) % _N for i in filled[:came]]
            fills = [
                w
                for i, n in zip(at, filled, strict=False)
                for w in (
                    WriteUser(("rx0", "slot", i, "len"), 100 + n),
                    WriteUser(("rx0", "slot", i, "flags"), 0),
                )
            ]
            first = [e for e in done.of(WriteUser) if e.where[1] == "slot"][: len(fills)]
            cases.goal("each frame is shown in its slot, in order", first == fills)
            cases.goal(
                "the driver remembers how far it looked",
                done.done("nic.rx_check") == ([(0, (check + came) % _N)] if came else []),
            )
            new = [(hwcur + i) % _N for i in range((cur - hwcur) % _N)] if cur < _N else []
            fair = cur < _N and len(new) <= avail + came
            bad = [i for i in new if not 1 <= slots[i][0] < _TOTAL]
            prefix = (new[: new.index(bad[0])] if bad else new) if fair else []
            cases.goal(
                "each released slot is given back, in order, with its buffer",
                done.done("nic.rx_desc") == [(0, (i - hwofs) % _N, slots[i][0]) for i in prefix],
            )
            sound = fair and not bad
            tails = [(0, (cur - hwofs - 1) % _N)] if sound and new else []
            cases.goal("the NIC may fill up to the slot before cur", done.done("nic.rx_tail") == tails)
            if sound:
                changed = [i for i in new if slots[i][2] & 1 and i not in at]
                kept = [done.memory["rx0", "slot", i, "flags"] == slots[i][2] & ~1 for i in changed]
                cases.goal("NS_BUF_CHANGED is cleared, other flags stay", all(kept))
                unmarked = [i for i in new if not slots[i][2] & 1]
                stores = [e.where for e in done.of(WriteUser)]
                cases.goal(
                    "flags without it are not stored",
                    all(stores.count(("rx0", "slot", i, "flags")) == at.count(i) for i in unmarked),
                )
                after = Kring(_N, cur, avail + came - len(new), hwofs, 4 if looks else k.kflags)
                cases.goal(
                    "hwcur is cur, hwavail what is there now, the mark is gone",
                    done.memory["rx0", "kring"] == after,
                )
                cases.goal("avail tells it", done.memory["rx0", "avail"] == after.hwavail, done.result == 0)
            else:
                _put_back(cases, "rx0", k, done)
    cases.end()


obligation(
    "2011.driver.rxsync-call",
    clauses=(
        "2011.driver.rx-import",
        "2011.driver.rx-slot",
        "2011.driver.cur-under-lock",
        "2011.ring.sync-window",
        "2011.ring.hwofs",
        "2011.ring.positions",
    ),
    statement="""A driver's rxsync shows each finished descriptor in its slot, in order, when asked for or
    when an interrupt told of them, then gives the slots up to cur back to the NIC, which may fill all but
    one; under the ring's lock. A claim of more, or a slot without a buffer, puts the ring back.""",
    functions=(nic.rxsync,),
    control=Control(
        "the NIC never gets a descriptor back",
        lambda na, q, lock, switches: without(
            nic.rxsync(na, q, lock, switches), lambda e: isinstance(e, Do) and e.what == "nic.rx_tail"
        ),
    ),
    bounds="""A ring of three slots, every position, count and cur, three offsets, none to two frames, with a
    mark and without, slots with a fault of each kind.""",
    rules=(
        sync.CUR_OK,
        sync.CUR_BAD,
        sync.TAKE_OK,
        sync.TAKE_TOO_FAR,
        nic.RX_IMPORT,
        nic.RX_NO_IMPORT,
        nic.RX_BAD_SLOT,
        nic.RX_SLOT,
        nic.CUR_LOCKED,
    ),
)(rx_body)


# --- as written -----------------------------------------------------------------------------------------

for _side, _function, _body in (("tx", nic.txsync, tx_body), ("rx", nic.rxsync, rx_body)):
    obligation(
        f"2011.driver.{_side}sync-call.as-written.early",
        clauses=("2011.driver.cur-under-lock",),
        statement=f"As 2011.driver.{_side}sync-call, with cur read before the lock is taken.",
        functions=(_function,),
        control=Control(
            "as written, and the NIC's tail is never stored",
            lambda na, q, lock, switches, function=_function, tail=f"nic.{_side}_tail": without(
                function(na, q, lock, switches), lambda e: isinstance(e, Do) and e.what == tail
            ),
            goal={
                "tx": "the NIC is started behind the last, once, if all were good",
                "rx": "the NIC may fill up to the slot before cur",
            }[_side],
        ),
        bounds="As the obligation for the contract.",
        switches={nic.READS_CUR_EARLY},
        rules=(nic.CUR_EARLY,),
        finding="F2011-022",
        refutes={"cur is read under the lock"},
    )(_body)
