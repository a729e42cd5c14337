"""Chapter *requests*: NIOCCTRL, from the header to a request's own chapter and back.

What is common to all requests is done here once, in this order: the version, ``nr_reserved``, a body where
one belongs and none where none does (:mod:`.header`), the copy of the body, the list of options
(:mod:`.options`). Then the request's handler runs, and what it stored is copied back: body, options, header.
A handler that does what cannot be taken back calls :func:`sure` before it.

To plug in, a chapter registers a handler for its request::

    @requests.handles("VALE_LIST")
    def vale_list(ctx: Ctl) -> None:
        ctx.fired.append(LIST)
        if ctx.body["nr_port_idx"] > last:
            raise Refused("ENOENT")
        ctx.name = …                    # the header's name is copied back as well
        ctx.body["nr_bridge_idx"] = …   # so is the body, when the request succeeds

``ctx.body`` has every field of the request's body under its C name as it was sent, wrapped to its width. A
handler that raises :class:`~.bind.Refused` fails the request: what its steps did is undone (:mod:`.failure`),
the body returns as it was sent. Options are applied with :func:`.options.apply`. A request whose
chapter is not there yet is ``NotModelled``. :func:`run` with ``in_kernel`` is how the legacy requests
come in: without a body of the user's and without options. Register at import; ``world`` imports every
chapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.choice import Choose
from ..core.outcome import NotModelled, errno, fault
from ..core.step import Step, rule
from . import failure, opening, options, regions
from . import request as asking
from .bind import Faulted, Refused
from .header import (
    KINDS,
    Header,
    Kind,
    check_body,
    check_header,
    lookup,
    parse_body,
    parse_header,
    shown_body,
)
from .options import Option, Options
from .result import Result
from .state import File, System

NETMAP_C = asking.NETMAP_C

#: A request that was refused for its body comes back with ``nr_reserved`` set, so it is refused again.
RESERVED_LEFT = "14.header-reserved-left"
#: A request whose result cannot be copied back has been carried out, and fails.
DONE_THOUGH_FAILED = "14.copyout-after-the-fact"
#: The old interface to VALE_DETACH does not look whether the memory for the request was there.
DETACH_UNCHECKED = "14.legacy-detach-unchecked"
AS_WRITTEN = frozenset({RESERVED_LEFT, DONE_THOUGH_FAILED, DETACH_UNCHECKED})

_HEADER = "14.control.header"
BODY_FAULT = rule(
    "14/requests/body/bad-pointer", clause="14.control.body-fault", source=f"{NETMAP_C}:3448-3452"
)
LEFT_SET = rule(
    "14/requests/header/reserved-left",
    clause=_HEADER,
    source=f"{NETMAP_C}:3400,3409-3416,3554-3555",
    switch=RESERVED_LEFT,
)
UNKNOWN = rule("14/requests/unknown", clause="14.control.unknown-request", source=f"{NETMAP_C}:3168-3171")
COPYOUT = rule("14/requests/copyout/fault", clause="14.control.copied-back", source=f"{NETMAP_C}:3577-3585")
COPYOUT_LATE = rule(
    "14/requests/copyout/carried-out",
    clause="14.control.copied-back",
    source=f"{NETMAP_C}:3173-3176,3577-3585",
    switch=DONE_THOUGH_FAILED,
)
DETACH_FAULT = rule(
    "14/requests/legacy/detach-fault",
    clause="14.failure.errno",
    source=f"{asking.LEGACY_C}:172-176",
    switch=DETACH_UNCHECKED,
)
BACK = rule("14/requests/copyout/body", clause="14.control.copied-back", source=f"{NETMAP_C}:3577-3585")


@dataclass(slots=True)
class Ctl:
    """A request in progress: the system, the open file, what was sent and what will be copied back.

    ``name`` is the header's. ``mem`` is the region an option has brought, ``binding`` the file on its way to
    being bound. ``copies`` passes the copies back to the caller, once (:func:`sure`). ``afterwards`` is
    called on the system when the request has failed: what, as written, stays behind; each returns the rules
    it fired.
    """

    s: System
    file: int
    request: str
    name: str
    body: dict[str, Any]
    options: Options
    switches: frozenset[str]
    choose: Choose
    fired: list[str] = field(default_factory=list)
    afterwards: list[Callable[[System], Iterable[str]]] = field(default_factory=list)
    mem: int = 0
    binding: File = field(default_factory=File)
    copies: Callable[[], None] = lambda: None

    def asks(self, **fields: Any) -> asking.Request:
        """What :mod:`.register` looks at: the body's fields of the same name, and ``fields``."""
        same = {n: self.body[f"nr_{n}"] for n in asking.FIELDS if f"nr_{n}" in self.body}
        return asking.Request(name=self.name, **(same | fields))


Handler = Callable[[Ctl], "Result | None"]
_HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register who carries out these requests. ``ValueError`` for a second one, or a name netmap has not."""

    def register(handler: Handler) -> Handler:
        for name in names:
            if name in _HANDLERS or name not in KINDS:
                raise ValueError(f"request {name} has a handler already, or does not exist")
            _HANDLERS[name] = handler
        return handler

    return register


# --- one request ------------------------------------------------------------------------------


def run(
    s: System,
    file: int,
    name: str,
    sent: Mapping[str, Any],
    switches: frozenset[str],
    choose: Choose,
    in_kernel: bool = False,
) -> Result:
    """One request, from its header to what is copied back. Source: netmap_ioctl, nmreq_copyin, nmreq_copyout.

    ``sent`` are the body's fields and the header's: ``name``, ``version``, ``header`` (:func:`parse_header`),
    ``options`` (:func:`.options.parse`). Raises ``ValueError`` for what netmap does not have.
    """
    name, kind, known = lookup(name)
    fields = {k: v for k, v in sent.items() if k != "request"}
    given = options.parse(fields.pop("options", None) or ())
    header = parse_header(fields, kind.size, known)
    body = parse_body(name, kind, fields)
    ctx = Ctl(s, file, name, header.name, dict(body), Options(options.Copy(given)), switches, choose)
    s.request.choose = choose
    before = s.clone()
    reserved, done, outcome = header.reserved, None, None

    def copies() -> None:
        ctx.copies = lambda: None
        if _copies_fail(ctx, kind, header, in_kernel):
            _cannot_copy_back(ctx, given)

    def act() -> Result | None:
        _admit(ctx, kind, header, in_kernel)
        ctx.name = header.name[: asking.NAMSIZ - 1]
        ctx.copies = copies
        done = _carry_out(ctx, known)
        ctx.copies()
        _let_go(ctx)
        return done

    try:
        done = failure.carry_out(s, act, ctx.fired, switches)
    except Refused as refused:
        outcome = errno(refused.name)
        ctx.options.bodies_as_sent(given)
        if COPYOUT_LATE not in ctx.fired:
            for left in ctx.afterwards:
                ctx.fired.extend(left(s))
        if LEFT_SET in ctx.fired:
            reserved = 1
    except Faulted as faulted:
        outcome = fault(faulted.lines)
    except NotModelled:
        s.restore(before)
        raise
    hdr = {
        "nr_version": header.version, "nr_reqtype": kind.number, "nr_reserved": reserved, "nr_name": ctx.name,
    }  # fmt: skip
    result = done or Result()
    if outcome is None and kind.size:
        ctx.fired.append(BACK)
        body = ctx.body
    return replace(
        result,
        outcome=outcome or result.outcome,
        fired=(*ctx.fired, *result.fired),
        out=shown_body(kind, body),
        hdr=hdr,
        options=ctx.options.shown(),
    )


def _admit(ctx: Ctl, kind: Kind, header: Header, in_kernel: bool) -> None:
    """The checks and copies before the request's own chapter."""
    failure.may_fail(ctx.s, asking.HEADER_IN, ctx.fired)
    _refuse(ctx, check_header(header.version, header.reserved))
    if in_kernel:
        _translated(ctx, kind)
        return
    step = check_body(kind.size, header.body != "none")
    if not step.outcome.ok and RESERVED_LEFT in ctx.switches:
        ctx.fired.append(LEFT_SET)
    _refuse(ctx, step)
    failure.may_fail(ctx.s, asking.COPY_MEMORY, ctx.fired)
    if kind.size:
        failure.may_fail(ctx.s, asking.COPY_IN, ctx.fired)
    if kind.size and header.body == "bad":
        ctx.fired.append(BODY_FAULT)
        raise Refused("EFAULT")
    sent = ctx.options.now.options
    first = options.BAD if header.list == "bad" else 0 if sent else options.END
    copied = options.copyin(sent, first, kind.size)
    for _ in copied.state.order:
        failure.may_fail(ctx.s, options.COPY_IN, ctx.fired)
    ctx.options.now = copied.state
    _refuse(ctx, copied)


def _translated(ctx: Ctl, kind: Kind) -> None:
    """Memory for the request that a legacy one is translated into.

    As written (DETACH_UNCHECKED) nobody looks whether that of a VALE_DETACH is there.
    """
    failure.may_fail(ctx.s, asking.LEGACY_HEADER, ctx.fired)
    if not kind.size or not failure.fails(ctx.s, asking.LEGACY_BODY, ctx.fired):
        return
    if ctx.request == "VALE_DETACH" and DETACH_UNCHECKED in ctx.switches:
        ctx.fired.append(DETACH_FAULT)
        raise Faulted("netmap_legacy.c:172-176, netmap_bdg.c:641-660")
    raise Refused(asking.LEGACY_BODY.errno)


def _refuse(ctx: Ctl, step: Step[Any]) -> None:
    ctx.fired.extend(step.fired)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)


def _carry_out(ctx: Ctl, known: bool) -> Result | None:
    """Run the request's handler. EINVAL for a request netmap does not have."""
    if not known:
        ctx.fired.append(UNKNOWN)
        raise Refused("EINVAL")
    lost = opening.lost(ctx.s, ctx.file) if ctx.request in opening.LOOK else None
    if lost is not None:
        ctx.fired.extend(lost.fired)
        raise Faulted(lost.outcome.detail)
    handler = _HANDLERS.get(ctx.request)
    if handler is None:
        raise NotModelled(f"14/control/{ctx.request.lower().replace('_', '-')}", f"NIOCCTRL {ctx.request}")
    return handler(ctx)


def sure(ctx: Ctl) -> None:
    """What follows cannot be taken back: first make sure that the caller will hear of it.

    As written (DONE_THOUGH_FAILED) nobody makes sure.
    """
    if DONE_THOUGH_FAILED not in ctx.switches:
        ctx.copies()


def _copies_fail(ctx: Ctl, kind: Kind, header: Header, in_kernel: bool) -> bool:
    """Can the body, an option, or the header not be copied back? A legacy request has one structure."""
    s, fired = ctx.s, ctx.fired
    if in_kernel:
        return failure.fails(s, asking.HEADER_OUT, fired)
    if kind.size and (failure.fails(s, asking.COPY_OUT, fired) or header.body == "read-only"):
        return True
    if any(failure.fails(s, options.COPY_OUT, fired) for _ in ctx.options.now.order):
        return True
    return failure.fails(s, asking.HEADER_OUT, fired)


def _let_go(ctx: Ctl) -> None:
    """The request holds a region it was brought until it is over."""
    if ctx.mem:
        regions.memory_put(ctx.s, ctx.mem, ctx.fired)


def _cannot_copy_back(ctx: Ctl, sent: tuple[Option, ...]) -> None:
    """The body cannot be written: EFAULT. As written the request has been carried out all the same."""
    if DONE_THOUGH_FAILED in ctx.switches:
        ctx.fired.append(COPYOUT_LATE)
        failure.forget_all(ctx.s)
        _let_go(ctx)
    else:
        ctx.fired.append(COPYOUT)
    ctx.options.now = options.Copy(sent)
    raise Refused("EFAULT")
