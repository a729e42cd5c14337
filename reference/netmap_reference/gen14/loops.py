"""CSB mode and sync-kloops on a system: requests and options, passes, kicks, and the application's stores.

A loop is not a thread here: :func:`step` runs a pass over some of its rings whenever its caller says so. It
*may* pass at any time; it *must* when it is awake (:func:`awake`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..core.effects import run
from ..core.step import Step, rule
from . import bind, csb, failure, kloop, options, requests
from .bind import Refused
from .csb import Array, Entry
from .failure import point
from .kloop import RingArgs
from .options import Option
from .ptnet import guest_sync
from .requests import Ctl
from .result import Result
from .state import RX, TX, Csb, File, KringState, Loop, System, ring_name

if TYPE_CHECKING:
    from .execute import Execution

#: Nobody looks whether the memory for what a loop waits for was there.
POLL_UNCHECKED = "14.kloop-poll-unchecked"
AS_WRITTEN = frozenset({POLL_UNCHECKED})

POLL = point("kloop.poll", "ENOMEM", source=f"{kloop.KLOOP_C}:708-712")
EVENTFD = point("kloop.eventfd", "EBADF", source=f"{kloop.KLOOP_C}:733-776")
POLL_FAULT = rule(
    "14/kloop/start/poll-fault",
    clause="14.failure.errno",
    source=f"{kloop.KLOOP_C}:708-718",
    switch=POLL_UNCHECKED,
)

RINGS_LEFT = rule(
    "14/csb/enable/rings-left",
    clause="14.csb.enable-bound",
    source=f"{csb.NETMAP_C}:2158-2164,2211-2214",
    switch=bind.RINGID_STICKS,
)

#: What ``csbset`` calls the words an application stores.
WORDS = {"head": "head", "cur": "cur", "kick": "appl_need_kick", "flags": "sync_flags"}


def rings(f: File) -> tuple[str, ...]:
    """The rings of a descriptor in the order of its entries."""
    return tuple(ring_name(f.adapter, t, i) for t in (TX, RX) for i in range(*f.range(t)))


def index(s: System, file: int, ring: str) -> int:
    """The entry of a ring."""
    return rings(s.files[file]).index(ring)


# --- the requests ---------------------------------------------------------------------------------------


def _take(ctx: Ctl, step: Step[Any]) -> Any:
    ctx.fired.extend(step.fired)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)
    return step.state


@options.handles("CSB", "REGISTER", "CSB_ENABLE")
def csb_option(ctx: Ctl, option: Option) -> None:
    """Switch a descriptor to CSB mode.

    ``entries`` says how many fit into the arrays; ``atok_ofs``, ``ktoa_ofs`` how far they are off an address
    that is aligned; ``atok_bad``, ``ktoa_bad`` that there is no memory.
    """
    s, f, body = ctx.s, ctx.s.files[ctx.file], option.fields()
    if not f.adapter:
        if csb.ENABLE_UNBOUND in ctx.switches:
            ctx.fired.append(csb.UNBOUND_OK)
            _enable_left(ctx, f, body)
            return
        ctx.fired.append(csb.UNBOUND)
        raise Refused("ENXIO")
    bound = rings(f)
    if not _begins(ctx, f, body):
        return
    entries: list[Entry] = []
    for ring in bound:
        step = csb.csb_init(s.krings[ring].pos)
        ctx.fired.extend(step.fired)
        entries.append(step.state)
    old = s.csbs.get(ctx.file)
    s.csbs[ctx.file] = Csb(tuple(entries), (0,) * len(bound), tuple(s.krings[ring].pos for ring in bound))
    failure.undo(s, "csb.mode", lambda: _back(s, ctx.file, old), csb.SURVIVES_FAILURE, csb.SURVIVED, True)


def _begins(ctx: Ctl, f: File, body: Mapping[str, Any]) -> bool:
    """Do these arrays suffice for the rings of a descriptor? Not when it has none. Raises Refused."""
    bound = rings(f)
    enough = int(body.get("entries", 0)) >= len(bound)
    atok, ktoa = (
        Array(int(body.get(f"{a}_ofs", 0)) % csb.ENTRY, enough and not body.get(f"{a}_bad", 0))
        for a in ("atok", "ktoa")
    )
    if not _take(ctx, csb.csb_check(ctx.file in ctx.s.loops, len(bound), f.exclusive, atok, ktoa)):
        return False
    for _ in (atok, ktoa):
        failure.may_fail(ctx.s, csb.COPY, ctx.fired)
        failure.may_fail(ctx.s, csb.TOUCH, ctx.fired)
    return True


def _enable_left(ctx: Ctl, f: File, body: Mapping[str, Any]) -> None:
    """What CSB_ENABLE does without a port: as written (RINGID_STICKS) it looks for rings that are left."""
    if bind.RINGID_STICKS in ctx.switches and _begins(ctx, f, body):
        ctx.fired.append(RINGS_LEFT)
        raise failure.Faulted("netmap.c:2211-2214")


def _back(s: System, file: int, old: Csb | None) -> None:
    """The arrays that a descriptor had before, if any."""
    s.csbs.pop(file, None)
    if old is not None:
        s.csbs[file] = old


@requests.handles("CSB_ENABLE")
def csb_enable(ctx: Ctl) -> None:
    """CSB mode for a descriptor that is bound already."""
    if not options.apply(ctx, "CSB"):
        ctx.fired.append(csb.NO_OPTION)
        raise Refused("EINVAL")


@options.handles("SYNC_KLOOP_MODE", "SYNC_KLOOP_START")
def mode_option(ctx: Ctl, option: Option) -> None:
    """Which directions are handled by whoever kicks."""
    mode = int(option.fields().get("mode", 0))
    tx, rx = mode % 2 == 1, mode // 2 % 2 == 1
    eventfds = ctx.options.get("SYNC_KLOOP_EVENTFDS") is not None
    direct = _take(ctx, kloop.mode_check(tx, rx, mode > 3, eventfds, ctx.switches))
    ctx.s.loops[ctx.file] = replace(ctx.s.loops[ctx.file], direct_tx=direct.tx, direct_rx=direct.rx)


@options.handles("SYNC_KLOOP_EVENTFDS", "SYNC_KLOOP_START")
def eventfds_option(ctx: Ctl, option: Option) -> None:
    """One pair of eventfds for each ring. ``nokick`` and ``noirq``: bits of entries that lack one."""
    body, loop = option.fields(), ctx.s.loops[ctx.file]
    count, bound = int(body.get("entries", 0)), len(rings(ctx.s.files[ctx.file]))
    all_kicks = int(body.get("nokick", 0)) % (1 << count) == 0
    direct = loop.direct_tx or loop.direct_rx
    busy_wait = _take(ctx, kloop.eventfds_check(count, bound, all_kicks, direct, ctx.switches))
    _poll_entries(ctx)
    for _ in range(bound):
        failure.may_fail(ctx.s, EVENTFD, ctx.fired)
    irqs = tuple(int(body.get("noirq", 0)) >> i & 1 == 0 for i in range(bound))
    ctx.s.loops[ctx.file] = replace(loop, busy_wait=busy_wait, irqs=irqs)


def _poll_entries(ctx: Ctl) -> None:
    """Memory for what the loop waits for; as written (POLL_UNCHECKED) nobody looks whether it came."""
    if not failure.fails(ctx.s, POLL, ctx.fired):
        return
    if POLL_UNCHECKED in ctx.switches:
        ctx.fired.append(POLL_FAULT)
        raise failure.Faulted("netmap_kloop.c:711-720")
    raise Refused(POLL.errno)


@requests.handles("SYNC_KLOOP_START")
def start(ctx: Ctl) -> Result:
    """Run a loop; the caller sleeps in it."""
    s, file = ctx.s, ctx.file
    on = bool(s.files[file].adapter) and s.adapters[s.files[file].adapter].on
    _take(ctx, kloop.start_check(ctx.body["sleep_us"], on, file in s.csbs, file in s.loops))
    s.loops[file] = Loop(False, irqs=(False,) * len(s.csbs[file].entries))
    failure.undo(s, "kloop.running", lambda: _ended(s, file), own=True)
    failure.may_fail(s, kloop.ARGS, ctx.fired)
    options.apply(ctx, "SYNC_KLOOP_MODE")
    try:
        asked = options.apply(ctx, "SYNC_KLOOP_EVENTFDS")
    except Refused as refused:
        if refused.name != "EOPNOTSUPP":
            raise
        # As written it is the option's status alone that tells.
        del s.loops[file]
        return Result()
    if not asked:
        s.loops[file] = replace(s.loops[file], busy_wait=True)
        ctx.fired.append(kloop.EVENTFDS_NONE)
    if file in s.stops:
        s.stops -= {file}
        del s.loops[file]
        ctx.fired.append(kloop.ENDS_AT_ONCE)
        return Result()
    return Result(asleep=True)


def _ended(s: System, file: int) -> None:
    s.loops.pop(file, None)


@requests.handles("SYNC_KLOOP_STOP")
def stop(ctx: Ctl) -> None:
    """End the descriptor's loop, if there is one."""
    s, file = ctx.s, ctx.file
    if not s.files[file].adapter or not s.adapters[s.files[file].adapter].on:
        ctx.fired.append(kloop.STOP_UNBOUND)
        raise Refused("ENXIO")
    requests.sure(ctx)
    if file in s.loops:
        del s.loops[file]
        s.ended[file] = s.ended.get(file, 0) + 1
        ctx.fired.append(kloop.STOPPED)
    elif kloop.STOP_REMEMBERED in ctx.switches:
        s.stops |= {file}
        ctx.fired.append(kloop.STOP_LATER)
    else:
        ctx.fired.append(kloop.STOP_NOTHING)


def returns(s: System, file: int) -> bool:
    """Does a START of this descriptor come back now, because its loop was stopped? Counts it as returned."""
    left = s.ended.get(file, 0)
    if left:
        s.ended[file] = left - 1
        if left == 1:
            del s.ended[file]
    return left > 0


def forget(s: System, file: int) -> None:
    """An open file is gone, and its CSB mode with it."""
    s.csbs.pop(file, None)
    s.ended.pop(file, None)
    s.stops -= {file}


# --- passes ---------------------------------------------------------------------------------------------


def args(s: System, file: int, ring: str) -> RingArgs:
    """How the loop of a descriptor handles one of its rings."""
    loop, i = s.loops[file], index(s, file, ring)
    direct = loop.direct(s.krings[ring].t)
    return RingArgs(ring, loop.irqs[i] and not direct, loop.busy_wait, direct)


def mine(s: System, file: int) -> tuple[str, ...]:
    """The rings that the loop's own thread handles."""
    return tuple(r for r in rings(s.files[file]) if not s.loops[file].direct(s.krings[r].t))


def awake(s: System, file: int) -> bool:
    """Must the loop go over its rings? In a busy wait always, else when it just began, was woken, or is not
    through with a pass."""
    loop = s.loops[file]
    return loop.busy_wait or not loop.passed or loop.next > 0 or file in s.woken


def due(s: System, file: int) -> tuple[str, ...]:
    """The rings that the loop has yet to handle in this pass, or will in the next one, in order."""
    return mine(s, file)[s.loops[file].next :]


def step(x: Execution, which: Sequence[str]) -> None:
    """A pass over the next rings of the execution's descriptor, ``which`` are the first that are due."""
    s, file = x.s, x.file
    f, loop = s.files[file], s.loops[file]
    chosen = [args(s, file, ring) for ring in which]
    selinfos: tuple[str, ...] = ()
    if loop.next == 0:
        s.woken -= {file}
        if not loop.busy_wait:
            selinfos = (*f.selinfo, *(f"{ring}:kick" for ring in rings(f)))
    after = (loop.next + len(chosen)) % (len(mine(s, file)) or 1)
    s.loops[file] = replace(loop, passed=True, next=after)
    by = {t: tuple(a for a in chosen if s.krings[a.ring].t == t) for t in (TX, RX)}
    # A thread that has to wait for a ring tries again with its next pass.
    x.run(kloop.one_pass(by[TX], by[RX], selinfos, x.port_sync, x.switches))


def wake(x: Execution, selinfo: str) -> None:
    """What a wake-up does to loops and their applications, beside waking who sleeps."""
    ring, _, kind = selinfo.rpartition(":")
    if kind == "irq":
        _signal(x.s, x.file, index(x.s, x.file, ring))
    elif kind == "kick":
        _kicked(x, ring)
    else:
        for file, loop in x.s.loops.items():
            for t, name in zip((RX, TX), x.s.files[file].selinfo, strict=True):
                if loop.direct(t) and name == selinfo:
                    _forward(x.s, file, t, x.fired)


def _forward(s: System, file: int, t: str, fired: list[str]) -> None:
    """News of a direct direction are the application's: all its irqfds of this direction are signalled."""
    for i, ring in enumerate(rings(s.files[file])):
        if s.krings[ring].t == t and s.loops[file].irqs[i]:
            fired.append(kloop.FORWARDED)
            _signal(s, file, i)


def _signal(s: System, file: int, i: int) -> None:
    c = s.csbs[file]
    s.csbs[file] = replace(c, irqs=(*c.irqs[:i], c.irqs[i] + 1, *c.irqs[i + 1 :]))


def _kicked(x: Execution, ring: str) -> None:
    """In direct mode whoever kicks handles the ring."""
    k = x.s.krings[ring]
    if x.file in x.s.loops and x.s.loops[x.file].direct(k.t) and not x.s.loops[x.file].busy_wait:
        x.fired.append(kloop.KICKED)
        handle = kloop.tx_ring if k.t == TX else kloop.rx_ring
        x.run(handle(args(x.s, x.file, ring), x.port_sync, x.switches))


# --- the application --------------------------------------------------------------------------------------


def load(s: System, file: int, ring: str, word: str) -> int:
    """One word of a ring's entry."""
    value: int = getattr(s.csbs[file].entries[index(s, file, ring)], word)
    return value


def store(s: System, file: int, i: int, words: Mapping[str, int]) -> None:
    """Store into words of an entry."""
    c = s.csbs[file]
    entry = replace(c.entries[i], **{word: value % (1 << 32) for word, value in words.items()})
    s.csbs[file] = replace(c, entries=(*c.entries[:i], entry, *c.entries[i + 1 :]))


def read_irq(s: System, file: int, i: int) -> int:
    """Signals of an irqfd since it was read last; none are left."""
    c = s.csbs[file]
    s.csbs[file] = replace(c, irqs=(*c.irqs[:i], 0, *c.irqs[i + 1 :]))
    return c.irqs[i]


def guest(s: System, file: int, k: KringState) -> Any:
    """The application's own kring of a ring."""
    return s.csbs[file].guests[index(s, file, k.name)]


def keep_guest(s: System, file: int, k: KringState, value: Any) -> None:
    c, i = s.csbs[file], index(s, file, k.name)
    s.csbs[file] = replace(c, guests=(*c.guests[:i], value, *c.guests[i + 1 :]))


def sync_as_guest(x: Execution, i: int, force: bool) -> bool:
    """The application syncs a ring through its entry; are its positions accepted?"""
    ring = rings(x.s.files[x.file])[i]
    accepted: bool = run(guest_sync(ring, x.s.krings[ring].t == TX, force, x.switches), x)
    return accepted
