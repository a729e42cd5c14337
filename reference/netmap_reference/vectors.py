"""Language-neutral test vectors, computed by the model.

``python -m netmap_reference.vectors`` writes ``netmap_spec/vectors/GENERATION/STEP.json``; ``--check``
only tells whether they are what the model computes (exit 1 if not). A vector is one application of a
pure step under the contract: integers in, integers and the rule that fired out. Whoever implements
netmap in another language runs the file through the function of the same name.

Each table is exhaustive at small scope (rings of up to three slots, every kring that keeps
14.ring.kring-order) and goes on with the edges of larger rings and of ``uint32_t``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from netmap_spec import vectors as published
from netmap_spec.invariants import kring_order

from . import portspec_vectors as portspec
from .core.step import Step
from .core.words import U32
from .gen14 import ring
from .gen14.ports import pipe
from .gen2011 import ring as ring2011

Row = tuple[int | bool | str, ...]

#: Ring sizes whose vectors are complete, and those of which only the edges are there.
SMALL = (1, 2, 3)
LARGE = (1024, 4096)


@dataclass(frozen=True, slots=True)
class Table:
    """One file of vectors: what goes in, what comes out, and the step that relates them."""

    name: str
    clauses: tuple[str, ...]
    about: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cases: Callable[[], Iterable[Row]]
    evaluate: Callable[..., Row]


# --- inputs -----------------------------------------------------------------------------------


def _krings(n: int, positions: Sequence[int]) -> Iterator[ring.Kring]:
    """Every kring of size ``n`` with these positions that keeps 14.ring.kring-order."""
    for hwcur, hwtail, rhead, rcur, rtail in product(positions, repeat=5):
        if kring_order(n, hwcur, hwtail, rhead, rcur, rtail):
            yield ring.Kring(n, hwcur, hwtail, rhead, rcur, rtail)


def _row(k: ring.Kring) -> tuple[int, ...]:
    return (k.n, k.hwcur, k.hwtail, k.rhead, k.rcur, k.rtail)


def _prologue_cases() -> Iterator[Row]:
    """Small rings: every kring, every head and cur up to the first that is no position, tail kept or not.

    Large rings: windows that are empty, full, wrapped or not, and words at and beside their ends, at
    the end of the ring and at the ends of ``uint32_t``.
    """
    for n in SMALL:
        for k in _krings(n, range(n)):
            for head, cur in product(range(n + 1), repeat=2):
                yield (*_row(k), head, cur, k.rtail)
            for head, cur in product(range(n), repeat=2):
                yield (*_row(k), head, cur, (k.rtail + 1) % n)
    for n in LARGE:
        for low, width in product((0, 1, n // 2, n - 1), (0, 1, n // 2, n - 1)):
            high = (low + width) % n
            k = ring.Kring(n, hwcur=low, hwtail=high, rhead=low, rcur=low, rtail=high)
            for head in dict.fromkeys(((low - 1) % n, low, high, (high + 1) % n)):
                for cur in dict.fromkeys(((head - 1) % n, head, high, (high + 1) % n)):
                    yield (*_row(k), head, cur, high)
            for wrong in (n, U32 // 2, U32 - 1):
                yield (*_row(k), wrong, high, high)
                yield (*_row(k), low, wrong, high)
                yield (*_row(k), wrong, wrong, high)
                yield (*_row(k), low, low, wrong)


def _reinit_cases() -> Iterator[Row]:
    for n in SMALL:
        for k in _krings(n, range(n)):
            for word in (0, n - 1, n, U32 - 1):
                yield (*_row(k), word, word, word)


def _finalize_cases() -> Iterator[Row]:
    for n in SMALL:
        for k in _krings(n, range(n)):
            yield _row(k)


def _slot_cases() -> Iterator[Row]:
    for total, size in ((3, 64), (4098, 2048)):
        for buf_idx in dict.fromkeys((0, 1, 2, total - 1, total, U32 - 1)):
            for length in (0, 1, size - 1, size, size + 1, 65535):
                yield (buf_idx, length, total, size)


def _index_cases() -> Iterator[Row]:
    for n in (*SMALL, 4, 5):
        for i, j in product(range(n), repeat=2):
            yield (n, i, j)
    for n in LARGE:
        for i, j in product((0, 1, n // 2, n - 1), repeat=2):
            yield (n, i, j)


def _pipe_tx_cases() -> Iterator[Row]:
    """Every small kring, every pipe_tail, and every number of slots up to the last complete packet."""
    for n in SMALL:
        for k in _krings(n, range(n)):
            for pipe_tail, last in product(range(n), range(ring.distance(k.hwcur, k.rhead, n) + 1)):
                yield (*_row(k), pipe_tail, last)


def _pipe_rx_cases() -> Iterator[Row]:
    for n in SMALL:
        for k in _krings(n, range(n)):
            for pipe_tail in range(n):
                yield (*_row(k), pipe_tail)


def _hwofs_cases() -> Iterator[Row]:
    for n in (*SMALL, 4):
        for hwofs, idx in product(range(-n + 1, n), range(n)):
            yield (n, hwofs, idx)
    for n in LARGE:
        for hwofs, idx in product((-n + 1, -1, 0, 1, n - 1), (0, 1, n - 1)):
            yield (n, hwofs, idx)


# --- steps ------------------------------------------------------------------------------------


def _rule(step: Step[Any]) -> str:
    """The last part of the id of the rule that decided."""
    return step.fired[0].rsplit("/", 1)[1]


def _prologue(step: Callable[..., Any]) -> Callable[..., Row]:
    def evaluate(*row: int) -> Row:
        done = step(ring.Kring(*row[:6]), ring.UserRing(*row[6:]))
        after = done.state
        return (
            after.accepted,
            _rule(done),
            after.kring.rhead,
            after.kring.rcur,
            after.kring.rtail,
            after.tail,
        )

    return evaluate


def _reinit(*row: int) -> Row:
    done = ring.ring_reinit(ring.Kring(*row[:6]), ring.UserRing(*row[6:]))
    k, user = done.state.kring, done.state.user
    return (_rule(done), k.rhead, k.rcur, k.rtail, user.head, user.cur, user.tail)


def _finalize(*row: int) -> Row:
    k = ring.sync_finalize(ring.Kring(*row)).state
    return (k.rtail, k.rtail)


def _slot(buf_idx: int, length: int, total: int, size: int) -> Row:
    slot = ring.slot_reinit(ring.Slot(buf_idx, length), total, size).state
    return (slot.buf_idx, slot.len)


def _index(n: int, i: int, j: int) -> Row:
    return (ring.nm_next(i, n - 1), ring.nm_prev(i, n - 1), ring.distance(i, j, n), ring.advance(i, j, n))


def _pipe(step: Callable[..., Any]) -> Callable[..., Row]:
    def evaluate(*row: int) -> Row:
        moved = step(ring.Kring(*row[:6]), *row[6:]).state
        return (moved.kring.hwcur, moved.kring.hwtail, moved.start, moved.count, moved.publish)

    return evaluate


def _hwofs(n: int, hwofs: int, idx: int) -> Row:
    return (ring2011.idx_n2k(n, hwofs, idx).state, ring2011.idx_k2n(n, hwofs, idx).state)


_KRING = ("n", "hwcur", "hwtail", "rhead", "rcur", "rtail")
_USER = ("head", "cur", "tail")
_AFTER = ("accepted", "rule", "rhead'", "rcur'", "rtail'", "tail'")
_MOVED = ("hwcur'", "hwtail'", "start", "count", "publish")

TABLES = (
    Table(
        "14/tx_prologue",
        ("14.ring.tx-window", "14.ring.tail-is-kernels"),
        "What a txsync does with the application's head, cur and tail before anything is sent.",
        (*_KRING, *_USER), _AFTER, _prologue_cases, _prologue(ring.tx_prologue),
    ),
    Table(
        "14/rx_prologue",
        ("14.ring.rx-window", "14.ring.tail-is-kernels"),
        "What an rxsync does with the application's head, cur and tail before anything is received.",
        (*_KRING, *_USER), _AFTER, _prologue_cases, _prologue(ring.rx_prologue),
    ),
    Table(
        "14/ring_reinit",
        ("14.ring.reinit-resets",),
        "A rejected ring goes back to the kernel's positions, in the kring and in the shared page.",
        (*_KRING, *_USER), ("rule", "rhead'", "rcur'", "rtail'", "head'", "cur'", "tail'"),
        _reinit_cases, _reinit,
    ),
    Table(
        "14/slot_reinit",
        ("14.ring.reinit-slots",),
        "A slot of a rejected ring is made safe; objtotal buffers of buf_size bytes are in the pool.",
        ("buf_idx", "len", "objtotal", "buf_size"), ("buf_idx'", "len'"), _slot_cases, _slot,
    ),
    Table(
        "14/sync_finalize",
        ("14.ring.tail-published",),
        "The tail a sync that ended well leaves in the kring and in the shared page.",
        _KRING, ("rtail'", "tail'"), _finalize_cases, _finalize,
    ),
    Table(
        "14/index",
        ("14.ring.kring-order",),
        "Positions after and before i, slots from i to j, and the position j slots ahead of i.",
        ("n", "i", "j"), ("next", "prev", "distance", "advance"), _index_cases, _index,
    ),
    Table(
        "14/pipe_txsync",
        ("14.pipe.txsync", "14.pipe.whole-packets"),
        "Slots a pipe's txsync hands over, and the receiver's new pipe_tail (-1: nothing is published).",
        (*_KRING, "pipe_tail", "last_complete"), _MOVED, _pipe_tx_cases, _pipe(pipe.pipe_txsync_positions),
    ),
    Table(
        "14/pipe_rxsync",
        ("14.pipe.rxsync",),
        "Slots a pipe's rxsync gives back, and the sender's new pipe_tail (-1: nothing is published).",
        (*_KRING, "pipe_tail"), _MOVED, _pipe_rx_cases, _pipe(pipe.pipe_rxsync_positions),
    ),
    Table(
        "14/nm_parse",
        ("14.nmopen.name", "14.nmopen.suffix", "14.nmopen.number", "14.nmopen.request", "14.portspec.ring",
         "14.portspec.flags", "14.portspec.memory"),
        "How nm_open reads a port specification into a struct nmreq that had this ring and these flags.",
        portspec.NM_PARSE_INPUTS, portspec.NM_PARSE_OUTPUTS, portspec.nm_parse_cases, portspec.nm_parse_row,
    ),
    Table(
        "14/nmport_parse",
        ("14.nmport.name", "14.nmport.pipe", "14.nmport.mode", "14.nmport.options", "14.nmport.keys",
         "14.nmport.conf", "14.nmport.share", "14.nmport.extmem", "14.nmport.offset", "14.portspec.memory"),
        "How libnetmap reads a port specification; port v0 has memory 1, the file pool 8388608 bytes.",
        portspec.NMPORT_INPUTS, portspec.NMPORT_OUTPUTS, portspec.nmport_cases, portspec.nmport_row,
    ),
    Table(
        "2011/hwofs",
        ("2011.ring.hwofs",),
        "NIC index to netmap index and back, for a ring whose two ends are hwofs apart.",
        ("n", "hwofs", "idx"), ("n2k", "k2n"), _hwofs_cases, _hwofs,
    ),
)  # fmt: skip


# --- files ------------------------------------------------------------------------------------


def render(table: Table) -> str:
    """The text of one file: a head, then one case a line. A case that comes twice is written once."""
    head = {
        "vectors": published.FORMAT,
        "generation": table.name.split("/")[0],
        "step": table.name.split("/")[1],
        "reading": "contract",
        "clauses": table.clauses,
        "about": table.about,
        "inputs": table.inputs,
        "outputs": table.outputs,
    }
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    cases = [[*case, *table.evaluate(*case)] for case in dict.fromkeys(table.cases())]
    rows = [json.dumps(case, separators=(",", ":")) for case in cases]
    return "\n".join(
        [
            "{",
            *lines,
            '  "cases": [',
            *(f"{row}," for row in rows[:-1]),
            rows[-1],
            "  ]",
            "}",
            "",
        ]
    )


def expected() -> dict[Path, str]:
    """Every file of vectors and what it should hold."""
    return {published.HERE / f"{table.name}.json": render(table) for table in TABLES}


def main(argv: list[str] | None = None) -> int:
    """Write or check every file of vectors."""
    parser = argparse.ArgumentParser(prog="python -m netmap_reference.vectors", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is stale")
    args = parser.parse_args(argv)
    stale = 0
    for path, text in expected().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        print(("stale: " if args.check else "wrote: ") + f"{path.parent.name}/{path.name}")
    return 1 if stale and args.check else 0


if __name__ == "__main__":
    sys.exit(main())
