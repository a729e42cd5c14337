"""Chapter *options*: the list of options behind a request's header, and who acts on which.

A list is data: each :class:`Option` has a type, a size, body fields under their C names without
``nro_``, and the index of the next one. :func:`copyin` walks it as the kernel does and says how far it
came and how each option stands; a request that is carried out starts with every option marked *not
supported* (EOPNOTSUPP), and whoever acts on one marks it.

To plug in, a chapter registers a handler for an option of a request::

    @options.handles("CSB", "REGISTER", "CSB_ENABLE")
    def csb(ctx: Ctl, option: Option) -> dict[str, int] | None: ...

The request's own chapter says when: ``options.apply(ctx, "CSB")`` runs the handler if the option is in the
list. A handler that raises :class:`~.bind.Refused` fails the request and leaves its errno as the option's
status; one that returns marks it done, and may return body fields to be copied back. REGISTER applies EXTMEM
before it looks for the port (the handler stores the region's id in ``ctx.mem``), OFFSETS when the rings exist
(``ctx.binding`` is the file, not bound yet), CSB when the descriptor is bound, and then fails if an option
is left that nobody acted on. Other requests only leave it marked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from netmap_spec.abi import api14

from ..core.outcome import NotModelled, errno
from ..core.step import Step, rule
from .bind import Refused
from .failure import point

if TYPE_CHECKING:
    from .requests import Ctl

NETMAP_C = "luigirizzo/netmap:sys/dev/netmap/netmap.c@89607e14"
MAXSIZE = api14.NETMAP_REQ_MAXSIZE
OPT_MAX = api14.NETMAP_REQ_OPT_MAX
HEADER = api14.nmreq_option.SIZE
POINTER = 8
#: Bytes of the kernel's copy of a request: two saved pointers, body, a table by type, options with one each.
BUFFER = (2 + OPT_MAX) * POINTER + MAXSIZE + OPT_MAX * POINTER

COPY_IN = point("options.copy-in", "EFAULT", source=f"{NETMAP_C}:3469-3474,3529-3535")
COPY_OUT = point("options.copy-out", "EFAULT", source=f"{NETMAP_C}:3596-3615")
COPIED = rule("14/options/copyin/copied", clause="14.options.status", source=f"{NETMAP_C}:3543-3549")
TYPE_ZERO = rule("14/options/copyin/type-zero", clause="14.options.type", source=f"{NETMAP_C}:3490-3497")
UNKNOWN = rule("14/options/copyin/unknown", clause="14.options.type", source=f"{NETMAP_C}:3499-3502")
DUPLICATE = rule("14/options/copyin/duplicate", clause="14.options.once", source=f"{NETMAP_C}:3504-3515")
TOO_LARGE = rule("14/options/copyin/too-large", clause="14.options.size", source=f"{NETMAP_C}:3518-3527")
ENDLESS = rule("14/options/copyin/endless", clause="14.options.size", source=f"{NETMAP_C}:3461-3468")
BAD_POINTER = rule("14/options/copyin/bad-pointer", clause="14.options.fault", source=f"{NETMAP_C}:3469-3474")
DONE = rule("14/options/apply/done", clause="14.options.status", source=f"{NETMAP_C}:2813-2821,2860-2870")
REFUSED = rule("14/options/apply/refused", clause="14.options.status", source=f"{NETMAP_C}:2860-2870")
LEFT = rule(
    "14/options/check/left", clause="14.options.unsupported", source=f"{NETMAP_C}:3641-3656,2908-2912"
)

#: Options of API 14 by name, in the order of their numbers.
TYPES = {
    name: getattr(api14, f"NETMAP_REQ_OPT_{name}")
    for name in ("EXTMEM", "SYNC_KLOOP_EVENTFDS", "CSB", "SYNC_KLOOP_MODE", "OFFSETS")
}
_NAMES = {number: name for name, number in TYPES.items()}
#: Where a list ends, and a pointer into memory the process does not have.
END = -1
BAD = -2


@dataclass(frozen=True, slots=True)
class Option:
    """One ``nmreq_option``: ``type``, ``size`` in bytes, body fields by name.

    ``next`` is the index of the next option of the list, :data:`END` or :data:`BAD`. ``status`` is an errno's
    name, empty for 0.
    """

    type: int
    size: int = 0
    next: int = END
    status: str = ""
    body: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """``CSB``; the number for a type API 14 does not have."""
        return _NAMES.get(self.type, str(self.type))

    def fields(self) -> dict[str, Any]:
        """The body's fields."""
        return dict(self.body)

    def shown(self) -> dict[str, Any]:
        """The option as a trace shows it."""
        return {"type": self.type, "status": self.status, "size": self.size, **dict(self.body)}


def parse(sent: Iterable[Mapping[str, Any]]) -> tuple[Option, ...]:
    """A trace's options: ``{"type": number or name, "size": bytes, "next": index, …body fields}``.

    ``next`` defaults to the one that follows. Raises ``ValueError`` for a type without a name or number.
    """
    found: list[Option] = []
    given = list(sent)
    for i, fields in enumerate(given):
        body = dict(fields)
        kind = body.pop("type", None)
        if isinstance(kind, str):
            if kind.upper() not in TYPES:
                raise ValueError(f"there is no option '{kind}'")
            kind = TYPES[kind.upper()]
        if not isinstance(kind, int):
            raise ValueError(f"an option without a type: {dict(fields)}")
        size = int(body.pop("size", 0)) % (1 << 64)
        following = i + 1 if i + 1 < len(given) else END
        after = int(body.pop("next", following))
        if not BAD <= after < len(given):
            raise ValueError(f"option {i} goes on with option {after} of {len(given)}")
        found.append(Option(kind % (1 << 32), size, after, "", tuple(sorted(body.items()))))
    return tuple(found)


# --- the kernel's copy ------------------------------------------------------------------------


def body_size(type: int, size: int) -> int:
    """Bytes behind an option's header that are copied: fixed by its type; the eventfds' by their own size.

    Source: nmreq_opt_size_by_type.
    """
    if type == api14.NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS:
        return size - HEADER if size >= HEADER else 0
    if type == api14.NETMAP_REQ_OPT_EXTMEM:
        return api14.nmreq_opt_extmem.SIZE - HEADER
    if type == api14.NETMAP_REQ_OPT_CSB:
        return api14.nmreq_opt_csb.SIZE - HEADER
    if type == api14.NETMAP_REQ_OPT_SYNC_KLOOP_MODE:
        return api14.nmreq_opt_sync_kloop_mode.SIZE - HEADER
    if type == api14.NETMAP_REQ_OPT_OFFSETS:
        return api14.nmreq_opt_offsets.SIZE - HEADER
    return 0


@dataclass(frozen=True, slots=True)
class Room:
    """``request`` bytes of body and options so far; ``used`` bytes of the kernel's copy."""

    request: int
    used: int


def room(body: int) -> Room:
    """What a request with a body of this size starts with."""
    return Room(body, (2 + OPT_MAX) * POINTER + body)


def take_header(r: Room) -> Step[Room]:
    """Room for one more option's header; EMSGSIZE when the copy is full, as it is when a list never ends."""
    if r.used + POINTER + HEADER > BUFFER:
        return Step(r, (ENDLESS,), errno("EMSGSIZE"))
    return Step(Room(r.request + HEADER, r.used + POINTER + HEADER))


def take_body(r: Room, type: int, size: int) -> Step[Room]:
    """Room for an option's body; EMSGSIZE when it is, or makes the request, larger than a request can be."""
    body = body_size(type, size)
    if size > MAXSIZE or r.request + body > MAXSIZE or r.used + body > BUFFER:
        return Step(r, (TOO_LARGE,), errno("EMSGSIZE"))
    return Step(Room(r.request + body, r.used + body))


@dataclass(frozen=True, slots=True)
class Copy:
    """The options as they stand, and the indices of those the kernel has in its list, in order."""

    options: tuple[Option, ...]
    order: tuple[int, ...] = ()


def copyin(sent: tuple[Option, ...], first: int, body: int) -> Step[Copy]:
    """Copy a list that starts with option ``first`` behind a body of ``body`` bytes. Source: nmreq_copyin.

    On success every option of the list is EOPNOTSUPP for now. EINVAL for type 0 and for a type that comes
    twice: the offenders have it as their status. EFAULT for a bad pointer, EMSGSIZE for too much; when a
    list never ends nothing is written back into it.
    """
    now = list(sent)
    order: list[int] = []
    kinds: dict[int, int] = {}
    fired: list[str] = []
    at, r = first, room(body)

    def refuse(error: str) -> Step[Copy]:
        return Step(Copy(tuple(now), tuple(order)), tuple(fired), errno(error))

    while at != END:
        header = take_header(r)
        if not header.outcome.ok:
            return Step(Copy(sent), (*fired, *header.fired), header.outcome)
        if at == BAD:
            fired.append(BAD_POINTER)
            return refuse("EFAULT")
        r, option = header.state, now[at]
        first_of = kinds.setdefault(option.type, len(order))
        twice = option.type < OPT_MAX and first_of < len(order)
        order.append(at)
        if option.type == 0:
            now[at] = replace(option, status="EINVAL")
            fired.append(TYPE_ZERO)
            return refuse("EINVAL")
        if twice:
            for i in (order[first_of], at):
                now[i] = replace(now[i], status="EINVAL")
            fired.append(DUPLICATE)
            return refuse("EINVAL")
        if option.type >= OPT_MAX:
            fired.append(UNKNOWN)
        else:
            step = take_body(r, option.type, option.size)
            if not step.outcome.ok:
                fired.extend(step.fired)
                return refuse(step.outcome.detail)
            r = step.state
        at = option.next
    for i in order:
        now[i] = replace(now[i], status="EOPNOTSUPP")
    if order:
        fired.append(COPIED)
    return Step(Copy(tuple(now), tuple(order)), tuple(fired))


# --- acting on them ---------------------------------------------------------------------------


@dataclass(slots=True)
class Options:
    """The list of a request in progress."""

    now: Copy = Copy(())

    def get(self, name: str) -> Option | None:
        """The option of this name, if there is one in the kernel's list."""
        return next((self.now.options[i] for i in self.now.order if self._is(i, name)), None)

    def mark(self, name: str, status: str, body: Mapping[str, Any] | None = None) -> None:
        """Set an option's status, and fields of its body."""
        options = list(self.now.options)
        for i in self.now.order:
            if self._is(i, name):
                fields = options[i].fields() | dict(body or {})
                options[i] = replace(options[i], status=status, body=tuple(sorted(fields.items())))
        self.now = replace(self.now, options=tuple(options))

    def bodies_as_sent(self, sent: tuple[Option, ...]) -> None:
        """A request that failed copies back how its options stand, and nothing of their bodies."""
        options = tuple(replace(now, body=was.body) for now, was in zip(self.now.options, sent, strict=True))
        self.now = replace(self.now, options=options)

    def _is(self, i: int, name: str) -> bool:
        kind: int = TYPES[name]
        return self.now.options[i].type == kind

    def left(self) -> bool:
        """Is there an option nobody acted on?"""
        return any(self.now.options[i].status == "EOPNOTSUPP" for i in self.now.order)

    def shown(self) -> tuple[dict[str, Any], ...]:
        """Every option as a trace shows it."""
        return tuple(o.shown() for o in self.now.options)


Handler = Callable[["Ctl", Option], "Mapping[str, Any] | None"]
_HANDLERS: dict[tuple[str, str], Handler] = {}


def handles(name: str, *requests: str) -> Callable[[Handler], Handler]:
    """Register who acts on an option of these requests. ``ValueError`` for a second one."""

    def register(handler: Handler) -> Handler:
        for request in requests:
            if (name, request) in _HANDLERS:
                raise ValueError(f"option {name} of {request} has two handlers")
            _HANDLERS[name, request] = handler
        return handler

    if name not in TYPES:
        raise ValueError(f"there is no option {name}")
    return register


def apply(ctx: Ctl, name: str) -> bool:
    """Act on an option if it is in the request's list; was it? Raises :class:`~.bind.Refused` if it fails."""
    option = ctx.options.get(name)
    if option is None:
        return False
    handler = _HANDLERS.get((name, ctx.request))
    if handler is None:
        raise NotModelled(f"14/options/{name.lower().replace('_', '-')}", f"{ctx.request} with option {name}")
    try:
        body = handler(ctx, option)
    except Refused as refused:
        ctx.options.mark(name, refused.name)
        ctx.fired.append(REFUSED)
        raise
    ctx.options.mark(name, "", body)
    ctx.fired.append(DONE)
    return True


def check(ctx: Ctl) -> None:
    """EOPNOTSUPP when an option is left that nobody acted on. Source: nmreq_checkoptions."""
    if ctx.options.left():
        ctx.fired.append(LEFT)
        raise Refused("EOPNOTSUPP")
