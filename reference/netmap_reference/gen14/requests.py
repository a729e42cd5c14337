"""Chapter *requests*: NIOCCTRL, from the header to a request's own chapter and back.

What is common to all requests is done here once, in this order: the version, ``nr_reserved``, a body where
one belongs and none where none does, the copy of the body, the list of options (:mod:`.options`). Then
the request's handler runs, and what it stored is copied back.

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

from netmap_spec.abi import View, api14
from netmap_spec.abi.views import Int

from ..core.choice import Choose
from ..core.outcome import NotModelled, errno, fault
from ..core.step import Step, rule
from . import failure, options, regions
from . import request as asking
from .bind import Faulted, Refused
from .options import Option, Options
from .result import Result
from .state import File, System

NETMAP_C = asking.NETMAP_C

#: A request that was refused for its body comes back with ``nr_reserved`` set, so it is refused again.
RESERVED_LEFT = "14.header-reserved-left"
#: A request whose result cannot be copied back has been carried out, and fails.
DONE_THOUGH_FAILED = "14.copyout-after-the-fact"
AS_WRITTEN = frozenset({RESERVED_LEFT, DONE_THOUGH_FAILED})

_HEADER = "14.control.header"
RESERVED = rule("14/requests/header/reserved", clause=_HEADER, source=f"{NETMAP_C}:3391-3395")
NO_BODY = rule("14/requests/body/missing", clause="14.control.body", source=f"{NETMAP_C}:3409-3416")
EXTRA_BODY = rule("14/requests/body/unexpected", clause="14.control.body", source=f"{NETMAP_C}:3409-3416")
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
BACK = rule("14/requests/copyout/body", clause="14.control.copied-back", source=f"{NETMAP_C}:3577-3585")


@dataclass(frozen=True, slots=True)
class Kind:
    """One request: its number, and the structure its body is, if it has one."""

    number: int
    body: type[View] | None = None

    @property
    def size(self) -> int:
        """Bytes of the body (nmreq_size_by_type)."""
        return self.body.SIZE if self.body else 0


def _kind(name: str, body: type[View] | None) -> Kind:
    return Kind(getattr(api14, f"NETMAP_REQ_{name}"), body)


#: The requests of API 14 by name.
KINDS = {
    name: _kind(name, body)
    for name, body in (
        ("REGISTER", api14.nmreq_register),
        ("PORT_INFO_GET", api14.nmreq_port_info_get),
        ("VALE_ATTACH", api14.nmreq_vale_attach),
        ("VALE_DETACH", api14.nmreq_vale_detach),
        ("VALE_LIST", api14.nmreq_vale_list),
        ("PORT_HDR_SET", api14.nmreq_port_hdr),
        ("PORT_HDR_GET", api14.nmreq_port_hdr),
        ("VALE_NEWIF", api14.nmreq_vale_newif),
        ("VALE_DELIF", None),
        ("VALE_POLLING_ENABLE", api14.nmreq_vale_polling),
        ("VALE_POLLING_DISABLE", api14.nmreq_vale_polling),
        ("POOLS_INFO_GET", api14.nmreq_pools_info),
        ("SYNC_KLOOP_START", api14.nmreq_sync_kloop_start),
        ("SYNC_KLOOP_STOP", None),
        ("CSB_ENABLE", None),
    )
}
_BY_NUMBER = {kind.number: name for name, kind in KINDS.items()}


@dataclass(slots=True)
class Ctl:
    """A request in progress: the system, the open file, what was sent and what will be copied back.

    ``name`` is the header's. ``mem`` is the region an option has brought, ``binding`` the file on its way to
    being bound. ``afterwards`` is called on the system when the request has failed: what, as
    written, stays behind; each returns the rules it fired.
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


# --- the header and the body ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    """A header as sent: ``name`` up to 64 bytes; ``body`` and ``list`` say where the pointers lead.

    ``body``: ``none``, ``there``, ``bad`` (no memory), ``read-only``. ``list``: ``there`` or ``bad``.
    """

    name: str = ""
    version: int = api14.NETMAP_API
    reserved: int = 0
    body: str = "there"
    list: str = "there"


def check_header(version: int, reserved: int) -> Step[bool]:
    """Is the header one to go on with? EINVAL for a version that is not spoken, and for ``nr_reserved``."""
    if version < api14.NETMAP_MIN_API or version > api14.NETMAP_MAX_API:
        return Step(False, (asking.VERSION,), errno("EINVAL"))
    if reserved != 0:
        return Step(False, (RESERVED,), errno("EINVAL"))
    return Step(True)


def check_body(size: int, given: bool) -> Step[bool]:
    """Is a body of ``size`` bytes there exactly when one belongs? EINVAL when not."""
    if size > 0 and not given:
        return Step(False, (NO_BODY,), errno("EINVAL"))
    if size == 0 and given:
        return Step(False, (EXTRA_BODY,), errno("EINVAL"))
    return Step(True)


def parse_header(fields: dict[str, Any], size: int, known: bool) -> Header:
    """Take the header's part out of a trace's fields.

    ``header`` is a mapping: ``reserved``; ``nobody``, ``badbody``, ``robody``: no body, none of the process's
    memory, read-only memory; ``body``: one where none belongs; ``badopt``: the list is none of the process's
    memory. A request netmap does not have comes with a body unless ``nobody`` says otherwise.
    """
    words = dict(fields.pop("header", None) or {})
    version = asking.named(fields.pop("version", api14.NETMAP_API), "NETMAP_") % (1 << 16)
    body = "there" if size or words.pop("body", not known) else "none"
    for word, place in (("nobody", "none"), ("badbody", "bad"), ("robody", "read-only")):
        if words.pop(word, 0):
            body = place
    bad_list = bool(words.pop("badopt", 0))
    reserved = int(words.pop("reserved", 0)) % (1 << 32)
    words.pop("body", None)
    if words:
        raise ValueError(f"a header has no {', '.join(words)}")
    name = str(fields.pop("name", ""))[: asking.NAMSIZ]
    return Header(name, version, reserved, body, "bad" if bad_list else "there")


def parse_body(name: str, kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of a request's body under its C name: what ``fields`` say, else 0; ``nr_mode`` of a
    REGISTER defaults to ALL_NIC. Integers wrap to the width of their C field.

    ``mode`` and ``flags`` may be names. Raises ``ValueError`` for a field the body does not have.
    """
    members = dict(_members(kind.body)) if kind.body else {}
    body: dict[str, Any] = dict.fromkeys(members, 0)
    if "nr_flags" in members:
        body["nr_mode"] = api14.NR_REG_ALL_NIC
    for key, value in fields.items():
        member = key if key in members else f"nr_{key}"
        if member not in members:
            raise ValueError(f"{name} has no field '{key}'")
        prefix = "NR_REG_" if key.endswith("mode") else "NR_"
        body[member] = asking.named(value, prefix) % (1 << 8 * members[member].size)
    return body


def _members(view: type[View]) -> Iterable[tuple[str, Int]]:
    """The integers of a structure; those of a structure in it are its own, as in nmreq_vale_attach."""
    for name, member in vars(view).items():
        if isinstance(member, Int) and not name.startswith("pad"):
            yield name, member
        elif hasattr(member, "kind") and name == "reg":
            yield from _members(member.kind)


def shown_body(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """A body as a trace shows it: the structure inside nmreq_vale_attach is one."""
    if kind.body is api14.nmreq_vale_attach:
        inner = dict.fromkeys(name for name, _ in _members(api14.nmreq_register))
        return {"port_index": body["port_index"], "reg": {name: body[name] for name in inner}}
    return dict(body)


# --- one request ------------------------------------------------------------------------------


def lookup(name: str) -> tuple[str, Kind, bool]:
    """A request by name or number: (name, kind, does API 14 have it?). ``ValueError`` for other words."""
    name = name.removeprefix("NETMAP_REQ_")
    if name in KINDS:
        return name, KINDS[name], True
    try:
        number = int(name, 0) % (1 << 16)
    except ValueError:
        raise ValueError(f"there is no request '{name}'") from None
    if number in _BY_NUMBER:
        return _BY_NUMBER[number], KINDS[_BY_NUMBER[number]], True
    return str(number), Kind(number), False


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

    def act() -> Result | None:
        _admit(ctx, kind, header, in_kernel)
        ctx.name = header.name[: asking.NAMSIZ - 1]
        done = _carry_out(ctx, known)
        copies = kind.size and not in_kernel
        if copies and (failure.fails(s, asking.COPY_OUT, ctx.fired) or header.body == "read-only"):
            _cannot_copy_back(ctx, given)
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
    _refuse(ctx, check_header(header.version, header.reserved))
    if in_kernel:
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
    ctx.options.now = copied.state
    _refuse(ctx, copied)


def _refuse(ctx: Ctl, step: Step[Any]) -> None:
    ctx.fired.extend(step.fired)
    if not step.outcome.ok:
        raise Refused(step.outcome.detail)


def _carry_out(ctx: Ctl, known: bool) -> Result | None:
    """Run the request's handler. EINVAL for a request netmap does not have."""
    if not known:
        ctx.fired.append(UNKNOWN)
        raise Refused("EINVAL")
    handler = _HANDLERS.get(ctx.request)
    if handler is None:
        raise NotModelled(f"14/control/{ctx.request.lower().replace('_', '-')}", f"NIOCCTRL {ctx.request}")
    return handler(ctx)


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
