"""Generation 2011: the block that loading asks for, how it is divided, and what attaching a driver makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.gen2011 import attach, memory, module
from netmap_reference.gen2011.memory import BUF_SIZE, PAGE_SIZE, Obj
from netmap_reference.gen2011.ring import Kring

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

_MB = 1 << 20
#: The first size asked for: 65536 pages.
_FIRST = 65536 * PAGE_SIZE

# --- the block -----------------------------------------------------------------------------------------


def size_body(p: Proof, block_size: Callable[[int], Step[int]], extra_size: Callable[[int], int]) -> None:
    any_size = p.integer("size", 0)
    beyond, least = p.run(extra_size, any_size), any_size // 200 + PAGE_SIZE
    p.goal("the extra is whole pages", beyond % PAGE_SIZE == 0)
    p.goal("a two-hundredth and one page, rounded up", least <= beyond, beyond < least + PAGE_SIZE)
    largest = p.integer("largest", 0)
    step = p.run(block_size, largest)
    if not step.outcome.ok:
        p.goal("it gives up below 1 MB only", largest < _MB, step.outcome.detail == "ENOMEM")
        p.goal("and has nothing then", step.state == 0)
        return
    asked = [_FIRST >> i for i in range(9)]
    size = next(s for s in asked if s <= largest)
    whole = size + extra_size(size)
    p.goal("the first of the sizes that the system gives, and the extra", step.state == whole)
    halved = (memory.SHRINK in step.fired, memory.GIVE_UP in step.fired)
    p.goal("the rules say whether it was halved", halved == (size < _FIRST, False))


obligation(
    "2011.memory.block-size",
    clauses=("2011.memory.init",),
    statement="""Loading asks for 65536 pages and the extra, and halves the first until the system gives it
    or it would be less than 1 MB.""",
    functions=(memory.block_size, memory.extra_size),
    control=Control(
        "it gives up one halving early",
        lambda largest: memory.block_size(largest if largest >= 2 * _MB else 0),
        memory.extra_size,
        goal="it gives up below 1 MB only",
    ),
    assumptions="Any size that the system gives.",
)(size_body)


def layout_body(
    p: Proof, layout: Callable[[int], Step[memory.Layout]], page_up: Callable[[int], int]
) -> None:
    total = p.integer("total", _MB)
    got = p.run(layout, total).state
    p.goal("the object area is a two-hundredth of the block and starts it", got.size == total // 200)
    p.goal("the block is all there", got.total == total)
    start = got.buf_start
    p.goal("buffers begin on a page", start % PAGE_SIZE == 0, start == p.run(page_up, got.size))
    p.goal("the next one behind the area", got.size <= start, start < got.size + PAGE_SIZE)
    p.goal("they fill the rest", got.buf_len == total - start)
    end = start + got.buffers * BUF_SIZE
    p.goal("and end with it, less than a buffer unused", end <= total, total < end + BUF_SIZE)


obligation(
    "2011.memory.layout",
    clauses=("2011.memory.layout",),
    statement="""The object area is a two-hundredth of the block and starts it; buffers fill the rest from the
    next page on, none over the edge, less than one unused.""",
    functions=(memory.layout, memory.page_up),
    control=Control(
        "buffers are counted from the block's start",
        lambda total: Step(
            memory.Layout(
                total,
                total // 200,
                memory.page_up(total // 200),
                total - memory.page_up(total // 200),
                total // BUF_SIZE,
            ),
            (memory.LAYOUT,),
        ),
        memory.page_up,
        goal="and end with it, less than a buffer unused",
    ),
    assumptions="A block of 1 MB or more.",
)(layout_body)

# --- loading and unloading -----------------------------------------------------------------------------


def load_body(
    p: Proof, load: Callable[..., Any], unload: Callable[..., Any], other: Callable[..., Any]
) -> None:
    cases = Cases(p, "loads")
    for (largest,) in every(p, "sizes", (0, _MB - 1, _MB, 3 * _MB, 8 * _MB)):
        cases.case(largest=largest)
        step = load(largest)
        p.reached(step.fired)
        size = memory.block_size(largest)
        cases.goal("without a block it is ENOMEM", step.outcome.detail == size.outcome.detail)
        if step.state is None:
            cases.goal("and nothing is there", not size.outcome.ok)
            continue
        laid = memory.layout(size.state).state
        made = step.state
        cases.goal("the block is divided as it must be", made.layout == laid)
        cases.goal("the object area is one free stretch", made.objs == (Obj(0, laid.size, False),))
        free = frozenset(i for i in made.pool.bitmap if i < laid.buffers)
        cases.goal("all buffers are free but the reserved two", free == frozenset(range(2, laid.buffers)))
        cases.goal("and counted", (made.pool.total, made.pool.free) == (laid.buffers, laid.buffers - 2))
        used = module.Memory(laid, made.pool, (Obj(0, 64, True), Obj(64, laid.size - 64, False)))
        for loaded, leaked in ((made, ()), (used, (Obj(0, 64, True),))):
            ended = unload(loaded, p.switches)
            p.reached(ended.fired)
            cases.goal("unloading gives all of it back", ended.state.lost == 0)
            cases.goal("and tells what was in use", ended.state.leaked == leaked)
    event = other()
    p.reached(event.fired)
    cases.case(event="another one")
    cases.goal("no other event is supported", event.outcome.detail == "EOPNOTSUPP")
    cases.end()


obligation(
    "2011.module.loaded",
    clauses=("2011.module.load", "2011.module.unload", "2011.module.event", "2011.memory.one-stretch",
             "2011.memory.fini"),
    statement="""Loading divides the block, with one free stretch and all buffers free but two,
    or is ENOMEM; unloading gives all of it back, tells what was in use; no other event is supported.""",
    functions=(module.load, module.unload, module.other_event),
    control=Control(
        "what is in use is not told",
        module.load,
        lambda loaded, switches: module.unload(
            module.Memory(loaded.layout, loaded.pool, ()), switches
        ),
        module.other_event,
        goal="and tells what was in use",
    ),
    bounds="Sizes on both sides of the least one, and two above: all others are 2011.memory.block-size.",
    rules=(module.LOADED, module.LOAD_FAILED, module.UNLOADED, module.UNKNOWN),
)(load_body)  # fmt: skip

# --- attaching -----------------------------------------------------------------------------------------


def attach_body(
    p: Proof, attached: Callable[[int, bool, bool], Step[attach.Attached]], block_bytes: Callable[[int], int]
) -> None:
    cases = Cases(p, "drivers")
    least = block_bytes(0) - 4 * attach.KRING_BYTES
    for queues, interface, room in every(p, "drivers", range(1, 9), (False, True), (False, True)):
        cases.case(num_queues=queues, interface=interface, memory=room)
        step = attached(queues, interface, room)
        p.reached(step.fired)
        wanted = "EINVAL" if not interface else "ENOMEM" if not room else ""
        cases.goal("no interface is EINVAL, no memory ENOMEM", step.outcome.detail == wanted)
        fresh = () if wanted else (Kring(),) * (queues + 2)
        cases.goal("two krings more than pairs, all fresh, or none", step.state.krings == fresh)
        krings = 2 * (queues + 2) * attach.KRING_BYTES
        cases.goal("one block has room for all of them", block_bytes(queues) == least + krings)
    cases.goal("and for the adapter", least == attach.ADAPTER_BYTES)
    cases.end()


obligation(
    "2011.driver.attached",
    clauses=("2011.driver.attach", "2011.driver.attach-krings"),
    statement="""Attaching makes one block with the adapter and two krings more than pairs in each direction,
    the host's and the one for who waits for several; without an interface or memory it changes nothing.""",
    functions=(attach.attach, attach.block_bytes),
    control=Control(
        "nobody can wait for several rings",
        lambda queues, interface, room: Step(
            attach.Attached(attach.attach(queues, interface, room).state.krings[1:]),
            attach.attach(queues, interface, room).fired,
            attach.attach(queues, interface, room).outcome,
        ),
        attach.block_bytes,
        goal="two krings more than pairs, all fresh, or none",
    ),
    bounds="One to eight pairs: the number is only multiplied.",
)(attach_body)
