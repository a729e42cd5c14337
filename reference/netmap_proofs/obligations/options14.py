"""Generation 14, options of a request: reading any list ends, and what becomes of each option is told.

How much of a list fits is arithmetic and proved for every size; each round takes room away, so a list that
leads back to itself ends as well. What is copied back is looked at on every list of up to three options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from netmap_reference.core.step import Step
from netmap_reference.gen14 import options
from netmap_reference.gen14.options import BAD, BUFFER, END, HEADER, MAXSIZE, OPT_MAX, POINTER, Option, Room
from netmap_spec.abi import api14

from ..engine import Proof
from ..obligation import Control, obligation
from ..schemas import Cases, every

Take = Callable[..., Step[Room]]
#: Bytes of the kernel's copy before the first option, without the body.
FIXED = (2 + OPT_MAX) * POINTER
#: Body bytes by type; the eventfds' follow their own size.
_BODIES = {
    api14.NETMAP_REQ_OPT_EXTMEM: api14.nmreq_opt_extmem.SIZE - HEADER,
    api14.NETMAP_REQ_OPT_CSB: api14.nmreq_opt_csb.SIZE - HEADER,
    api14.NETMAP_REQ_OPT_SYNC_KLOOP_MODE: api14.nmreq_opt_sync_kloop_mode.SIZE - HEADER,
    api14.NETMAP_REQ_OPT_OFFSETS: api14.nmreq_opt_offsets.SIZE - HEADER,
}
_EVENTFDS = api14.NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS


def room_body(p: Proof, room: Callable[[int], Room], header: Take, body: Take) -> None:
    start = p.integer("body", 0, MAXSIZE)
    first = p.run(room, start)
    p.goal("the copy begins with the body", first.request == start, first.used == FIXED + start)
    r = p.show("room", Room(p.integer("request", 0, MAXSIZE), p.integer("used", FIXED, BUFFER)))
    step = p.run(header, r)
    fits = r.used + POINTER + HEADER <= BUFFER
    p.goal("an option's header is taken as long as there is room", step.outcome.ok == fits)
    if not step.outcome.ok:
        p.goal(
            "no room is EMSGSIZE, and nothing is taken", step.outcome.detail == "EMSGSIZE", step.state == r
        )
        return
    q = step.state
    p.goal("each takes a header and a pointer", q.used == r.used + POINTER + HEADER)
    p.goal("of a request's bytes each takes its header", q.request == r.request + HEADER)
    p.goal("so a list ends, whatever leads on", q.used > r.used, q.used <= BUFFER)
    kind, size = p.u32("type"), p.u64("size")
    taken = p.run(body, q, kind, size)
    length: int = 0
    for known, fixed in _BODIES.items():
        length = p.pick(kind == known, fixed, length)
    length = p.pick((kind == _EVENTFDS) & (size >= HEADER), size - HEADER, length)
    good = (size <= MAXSIZE) & (length <= MAXSIZE) & (q.request + length <= MAXSIZE)
    good = good & (q.used + length <= BUFFER)
    p.goal("a body is taken when it fits the request and the copy", good ^ (not taken.outcome.ok))
    if taken.outcome.ok:
        s = taken.state
        p.goal("it takes its length", s.request == q.request + length, s.used == q.used + length)
        p.goal("and never room back", s.used >= q.used, s.used <= BUFFER, s.request <= MAXSIZE)
    else:
        p.goal("too large is EMSGSIZE, and nothing is taken", taken.outcome.detail == "EMSGSIZE")
        p.goal("too large is EMSGSIZE, and nothing is taken", taken.state == q)


def _takes_nothing(r: Room) -> Step[Room]:
    step = options.take_header(r)
    return replace(step, state=replace(r, request=step.state.request)) if step.outcome.ok else step


obligation(
    "14.options.room",
    clauses=("14.options.size",),
    statement="""Every option of a list takes room away that never comes back, and reading ends with EMSGSIZE
    when there is none: so it ends on every list, also on one that leads back to itself. What is taken is what
    the clause says, for every size and type an application can write.""",
    functions=(options.room, options.take_header, options.take_body),
    control=Control(
        "an option's header takes no room",
        options.room,
        _takes_nothing,
        options.take_body,
        goal="so a list ends, whatever leads on",
    ),
    assumptions="Type any u32, size any u64, any room that a request can have left.",
    rules=(options.ENDLESS, options.TOO_LARGE),
)(room_body)


# --- what comes back ------------------------------------------------------------------------------------

_KINDS = (0, api14.NETMAP_REQ_OPT_CSB, _EVENTFDS, OPT_MAX, 2**32 - 1)
_SIZES = (0, HEADER + 8, MAXSIZE + 1)


def _lists() -> Iterator[tuple[tuple[Option, ...], int]]:
    """Every list of one and two options, three of some, with every way on; and the first option's index."""
    one = [Option(kind, size) for kind in _KINDS for size in _SIZES]
    for first in (END, BAD):
        yield (), first
    for a in one:
        for on in (END, BAD, 0):
            yield (replace(a, next=on),), 0
    for a in one:
        for b in one:
            for a_on, b_on in ((1, END), (1, BAD), (1, 0), (1, 1), (END, END)):
                yield (replace(a, next=a_on), replace(b, next=b_on)), 0
    small = [o for o in one if o.size == HEADER + 8]
    for a in small:
        for b in small:
            for c in small:
                for on in (END, BAD, 0, 1, 2):
                    yield (replace(a, next=1), replace(b, next=2), replace(c, next=on)), 0


def _story(sent: tuple[Option, ...], first: int, body: int) -> tuple[str, dict[int, str], list[int]]:
    """How a list ends (an errno or ""), the statuses it comes back with, and the options read, in order."""
    at, used, request = first, FIXED + body, body
    status: dict[int, str] = {}
    order: list[int] = []
    while at != END:
        used += POINTER + HEADER
        if used > BUFFER:
            return "EMSGSIZE", {}, []
        if at == BAD:
            return "EFAULT", status, order
        option, request = sent[at], request + HEADER
        before = [i for i in order if sent[i].type == option.type]
        order.append(at)
        status.setdefault(at, "")
        if option.type == 0:
            return "EINVAL", status | {at: "EINVAL"}, order
        if option.type < OPT_MAX:
            if before:
                return "EINVAL", status | dict.fromkeys([*before, at], "EINVAL"), order
            length = _BODIES.get(option.type, max(0, option.size - HEADER))
            used, request = used + length, request + length
            if max(option.size, length, request) > MAXSIZE or used > BUFFER:
                return "EMSGSIZE", status, order
        at = option.next
    return "", dict.fromkeys(order, "EOPNOTSUPP"), order


def copyin_body(p: Proof, copyin: Callable[..., Step[Any]]) -> None:
    cases = Cases(p, "lists")
    sizes = (0, 200, MAXSIZE)
    for (sent, first), body in every(p, "lists and bodies", list(_lists()), sizes):
        cases.case(options=sent, first=first, body=body)
        step = copyin(sent, first, body)
        p.reached(step.fired)
        error, status, order = _story(sent, first, body)
        cases.goal("it ends as the clauses say", step.outcome.detail == error)
        got = step.state.options
        cases.goal(
            "each option has the status that is its own",
            all(o.status == status.get(i, "") for i, o in enumerate(got)),
        )
        cases.goal("nothing else of an option changes", tuple(replace(o, status="") for o in got) == sent)
        if error != "EMSGSIZE" or status:
            cases.goal("the kernel has the list in its order", step.state.order == tuple(order))
        unknown = sum(1 for i in order if sent[i].type >= OPT_MAX)
        cases.goal("options that nobody takes are told", step.fired.count(options.UNKNOWN) >= min(unknown, 1))
        told = options.COPIED in step.fired
        cases.goal("a list that was read is told", told == (error == "" and order != []))
    cases.end()


def _forgets(sent: tuple[Option, ...], first: int, body: int) -> Step[Any]:
    """The first of two options of one type keeps its status."""
    step = options.copyin(sent, first, body)
    if options.DUPLICATE not in step.fired:
        return step
    now = (replace(step.state.options[0], status=""), *step.state.options[1:])
    return replace(step, state=replace(step.state, options=now))


obligation(
    "14.options.copyin",
    clauses=(
        "14.options.status",
        "14.options.type",
        "14.options.once",
        "14.options.size",
        "14.options.fault",
    ),
    statement="""Whatever list of options a header leads to, also one that leads back into itself or out of
    the process: reading it ends, with the error the clauses say, and every option comes back with its own
    status and otherwise as it was sent.""",
    functions=(options.copyin,),
    control=Control(
        "of two options of one type only the second is told",
        _forgets,
        goal="each option has the status that is its own",
    ),
    bounds="""Every list of one and of two options with types 0, known, unknown and the largest, sizes from 0
    to too large, and every way on (end, bad pointer, back, itself); three options of one size; bodies empty,
    small and as large as a request can be. That longer lists end is 14.options.room.""",
    rules=(
        options.COPIED,
        options.TYPE_ZERO,
        options.UNKNOWN,
        options.DUPLICATE,
        options.TOO_LARGE,
        options.ENDLESS,
        options.BAD_POINTER,
    ),
)(copyin_body)


# --- acting on them ---------------------------------------------------------------------------------------


def marks_body(p: Proof, get: Any, mark: Any, as_sent: Any, left: Any) -> None:
    cases = Cases(p, "lists")
    kinds = (api14.NETMAP_REQ_OPT_CSB, _EVENTFDS, OPT_MAX)
    for first, second, order in every(p, "lists", kinds, kinds, ((), (0,), (0, 1), (1, 0))):
        sent = tuple(
            Option(kind, 16, END, "EOPNOTSUPP" if i in order else "", (("a", i), ("b", 7)))
            for i, kind in enumerate((first, second))
        )
        for status, body in (("", {"a": 9}), ("EINVAL", None)):
            cases.case(types=(first, second), order=order, status=status)
            list_ = options.Options(options.Copy(sent, order))
            mine = [i for i in order if sent[i].type == api14.NETMAP_REQ_OPT_CSB]
            cases.goal(
                "an option is found by its name", get(list_, "CSB") == (sent[mine[0]] if mine else None)
            )
            cases.goal("one that nobody acted on is left", left(list_) == (order != ()))
            mark(list_, "CSB", status, body)
            got = list_.now.options
            for i, option in enumerate(got):
                wanted = status if i in mine else sent[i].status
                cases.goal("a status goes to the option that was acted on", option.status == wanted)
                fields = {"a": 9 if i in mine and body else i, "b": 7}
                cases.goal("fields are stored in that option", option.fields() == fields)
            done = all(i in mine for i in order)
            cases.goal("what was acted on is not left", left(list_) == (not done))
            as_sent(list_, sent)
            back = list_.now.options
            cases.goal(
                "a request that fails gives bodies back as sent",
                [o.body for o in back] == [o.body for o in sent],
            )
            cases.goal("and every status as it stands", [o.status for o in back] == [o.status for o in got])
    cases.end()


_METHODS = (options.Options.get, options.Options.mark, options.Options.bodies_as_sent, options.Options.left)


def _stores_everywhere(self: Any, name: str, status: str, body: Any = None) -> None:
    options.Options.mark(self, name, status, body)
    now = tuple(replace(o, body=tuple(sorted((o.fields() | (body or {})).items()))) for o in self.now.options)
    self.now = replace(self.now, options=now)


obligation(
    "14.options.back",
    clauses=("14.options.status", "14.options.unsupported"),
    statement="""A status and the fields that are returned go to the option that was acted on and to no other;
    what nobody acted on is left; of a request that fails no option's fields come back.""",
    functions=_METHODS,
    control=Control(
        "fields are stored in every option",
        options.Options.get,
        _stores_everywhere,
        options.Options.bodies_as_sent,
        options.Options.left,
    ),
    bounds="Two options of every mixture of types, in the kernel's list or not, in either order.",
    rules=(),
)(marks_body)
