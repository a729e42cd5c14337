"""The two checkers of generation 2011: what is planted is found by both, and they never disagree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from netmap_reference.campaign.gen2011.machine import Machine2011
from netmap_reference.gen2011.memory import Obj
from netmap_reference.gen2011.world import World
from netmap_spec import clauses

Plant = Callable[[World], None]


def kring(ring: str, **words: int) -> Plant:
    def plant(w: World) -> None:
        w.ifs["em0"].krings[ring] = replace(w.ifs["em0"].krings[ring], **words)

    return plant


def nic(side: str, **words: Any) -> Plant:
    def plant(w: World) -> None:
        rings = getattr(w.ifs["em0"], side)
        rings[0] = replace(rings[0], **words)

    return plant


def iface(**words: Any) -> Plant:
    def plant(w: World) -> None:
        for name, value in words.items():
            setattr(w.ifs["em0"], name, value)

    return plant


def pool(**words: Any) -> Plant:
    def plant(w: World) -> None:
        w.pool = replace(w.pool, **{name: change(w.pool) for name, change in words.items()})

    return plant


def objs(change: Callable[[tuple[Obj, ...]], tuple[Obj, ...]]) -> Plant:
    def plant(w: World) -> None:
        w.objs = change(w.objs)

    return plant


def slot(ring: str, index: int, buf_idx: Callable[[World], int]) -> Plant:
    def plant(w: World) -> None:
        w.slot(w.ifs["em0"], ring, index).buf_idx = buf_idx(w)

    return plant


def priv(**words: Any) -> Plant:
    def plant(w: World) -> None:
        w.privs[0] = replace(w.privs[0], selection=replace(w.privs[0].selection, **words))

    return plant


def forget(w: World) -> None:
    del w.privs[0]


def move_if(w: World) -> None:
    w.privs[0] = replace(w.privs[0], nifp=8)


def ring_word(w: World) -> None:
    w.ring(w.ifs["em0"], "tx0").buf_ofs += 8


def if_offset(w: World) -> None:
    at = w.privs[0].nifp
    assert at is not None
    w.region.write(at + 32, b"\x07")


def stranger(w: World) -> None:
    w.ifs["em0"].waiting.setdefault("rx0", set()).add(4)


def lost_sleeper(w: World) -> None:
    assert w.ifs["em1"].waiting
    w.ifs["em1"].waiting.clear()


PLANTED: dict[str, tuple[str, Plant]] = {
    "hwcur beyond the ring": ("ring2011_positions", kring("tx0", hwcur=4)),
    "hwavail of a full ring": ("ring2011_positions", kring("rx1", hwavail=4)),
    "hwavail below zero": ("ring2011_positions", kring("rx2", hwavail=-1)),
    "hwofs of a whole ring": ("hwofs_range", kring("tx1", hwofs=4)),
    "hwofs moved": ("tx_tail", kring("tx0", hwofs=1)),
    "rx hwofs moved": ("rx_check", kring("rx0", hwofs=1)),
    "a completion counted twice": ("tx_completions", kring("tx0", hwavail=2)),
    "a frame counted twice": ("rx_check", kring("rx0", hwavail=3)),
    "host ring not drained": ("host_drained", kring("tx2", hwavail=1)),
    "a ring of other size": ("ring_fields", kring("rx1", n=5)),
    "the selinfo's kring with slots": ("no_ring", kring("tx3", n=4)),
    "NIC tail moved": ("tx_tail", nic("tx", tail=3)),
    "NIC sends no buffer": ("tx_buffer", nic("tx", desc=((8, 60),) * 4)),
    "NIC sends the junk buffer": ("tx_buffer", nic("tx", desc=((8192, 60),) * 4)),
    "NIC receives where it should not": ("rx_buffer", nic("rx", buffer=(8192 + 2048 * 60,) * 4)),
    "NIC looks elsewhere": ("rx_check", nic("rx", check=0)),
    "rx tail moved": ("rx_tail", nic("rx", tail=2)),
    "a frame that nobody wrote": ("rx_done", nic("rx", done=(False,) * 4)),
    "count of registrations": ("refcount", iface(refcount=2)),
    "references": ("references", iface(refs=0)),
    "mode off": ("mode", iface(intercept=False)),
    "interface gone": ("detached", iface(dying=True)),
    "a wiped mutex": ("mutexes", iface(zeroed={"tx0"})),
    "free count one too high": ("free_counted", pool(free=lambda p: p.free + 1)),
    "junk buffer free": ("reserved", pool(bitmap=lambda p: p.bitmap | {0})),
    "used buffer free": ("buffer_owned", pool(bitmap=lambda p: p.bitmap | {2}, free=lambda p: p.free + 1)),
    "free buffer lost": ("buffer_owned", pool(bitmap=lambda p: p.bitmap - {69}, free=lambda p: p.free - 1)),
    "spare bit cleared": ("spare_bits", pool(bitmap=lambda p: p.bitmap - {95})),
    "two slots, one buffer": (
        "buffer_owned",
        slot("tx0", 2, lambda w: w.slot(w.ifs["em0"], "tx0", 3).buf_idx),
    ),
    "slot with a free buffer": (
        "buffer_owned",
        slot("tx1", 0, lambda w: max(w.pool.bitmap - {*range(70, 99)})),
    ),
    "slot beyond the pool": ("buffer_owned", slot("rx1", 0, lambda w: 70)),
    "a gap in the list": ("objects_tile", objs(lambda o: (*o[:-1], replace(o[-1], offset=o[-1].offset + 8)))),
    "free neighbours": (
        "free_coalesced",
        objs(lambda o: (*o[:-1], replace(o[-1], size=8), Obj(o[-1].offset + 8, o[-1].size - 8, False))),
    ),
    "a leaked object": ("owned_objects", objs(lambda o: (*o[:-1], replace(o[-1], used=True)))),
    "a freed object": ("owned_objects", objs(lambda o: (replace(o[0], used=False), *o[1:]))),
    "a descriptor's netmap_if elsewhere": ("owned_objects", move_if),
    "a registration forgotten": ("registered", forget),
    "no rings selected": ("selection", priv(qlast=0)),
    "pushing not as asked": ("txpoll", priv(txpoll=0)),
    "distance to the buffers": ("ring_fields", ring_word),
    "distance to a ring": ("ring_offsets", if_offset),
    "a sleeper that never slept": ("sleepers", stranger),
    "a sleeper forgotten": ("sleepers", lost_sleeper),
    "a lock held": ("locks_balanced", lambda w: w.held.append("core:em0")),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found_by_both_checkers(busy: Any, name: str) -> None:
    predicate, plant = PLANTED[name]
    machine: Machine2011 = busy()
    plant(machine.world)
    whole, touched = machine.whole(), machine.touched()
    assert predicate in {b.predicate for b in whole}
    assert predicate in {b.predicate for b in touched}
    assert {b.clause for b in whole + touched} <= clauses.load().keys()


def spoil(w: World, rng: Random) -> str:
    """Change one word of the kernel's or the NIC's at random; says which."""
    of = w.ifs[rng.choice(list(w.ifs))]
    step = rng.choice((-1, 1))
    kind = rng.choice(("kring", "tx", "rx", "pool", "objs", "iface", "slot", "waiting"))
    if kind == "kring" and of.krings:
        ring = rng.choice(list(of.krings))
        word = rng.choice(("n", "hwcur", "hwavail", "hwofs"))
        of.krings[ring] = replace(of.krings[ring], **{word: getattr(of.krings[ring], word) + step})
        return f"{ring}:{of.name} {word} {step}"
    if kind in ("tx", "rx"):
        rings = getattr(of, kind)
        q = rng.randrange(len(rings))
        word = rng.choice(("head", "tail", "clean" if kind == "tx" else "check"))
        rings[q] = replace(rings[q], **{word: (getattr(rings[q], word) + step) % rings[q].n})
        return f"NIC {kind}{q}:{of.name} {word} {step}"
    if kind == "pool":
        index = rng.randrange(w.pool.total)
        w.pool = replace(w.pool, bitmap=w.pool.bitmap ^ {index}, free=w.pool.free + rng.choice((-1, 0, 1)))
        return f"bit {index}"
    if kind == "objs":
        at = rng.randrange(len(w.objs))
        w.objs = (*w.objs[:at], replace(w.objs[at], used=not w.objs[at].used), *w.objs[at + 1 :])
        return f"object {at}"
    if kind == "iface":
        word = rng.choice(("refcount", "refs"))
        setattr(of, word, getattr(of, word) + step)
        return f"{of.name} {word}"
    if kind == "slot" and of.refcount > 0:
        ring = rng.choice(("tx0", "rx0"))
        w.slot(of, ring, rng.randrange(of.krings[ring].n)).buf_idx = rng.randrange(w.pool.total + 2)
        return f"a slot of {ring}:{of.name}"
    of.waiting.setdefault("rx0", set()).add(9)
    return f"a sleeper on rx0:{of.name}"


@pytest.mark.parametrize("profile", ["good", "bad", "wild"])
def test_both_checkers_agree_on_random_damage(wandering: Any, profile: str) -> None:
    """300 words changed at random in copies of random states: found by both or by none."""
    found = 0
    for seed in range(6):
        machine = wandering(seed, 150, profile)
        rng = Random(seed)
        for _ in range(50):
            copy = machine.copy()
            what = spoil(copy.world, rng)
            whole, touched = copy.whole(), copy.touched()
            assert {b.predicate for b in whole} == {b.predicate for b in touched}, f"seed {seed}: {what}"
            found += bool(whole)
    assert found > 150


@pytest.mark.parametrize("profile", ["good", "bad", "wild"])
def test_everything_is_in_order_whenever_what_was_touched_is(profile: str) -> None:
    """1,500 operations with both checkers after each; and the shadow is the state."""
    from netmap_reference.campaign.gen2011.shadow import Slots

    from .conftest import CONFIG

    rng = Random(f"agree {profile}")
    machine = Machine2011({"profile": profile, "config": CONFIG})
    for step in range(1500):
        for op, args in machine.draw(rng):
            assert not machine.apply(op, args), f"step {step}: {op} {args}"
            assert not machine.whole(), f"step {step}: {op} {args}"
            seen = Slots(machine.world)
            assert +seen.owners == +machine.shadow.slots.owners
            assert seen.index == machine.shadow.slots.index
