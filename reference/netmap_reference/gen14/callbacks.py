"""Chapter *callbacks*: what another module of the kernel does with a switch.

No process can do any of this: a module such as that of Open vSwitch makes a switch of its own, decides where
packets go, answers NIOCCONFIG, and is told of ports that leave. Its functions are not ours; here they answer
what the environment was told to have them answer (:meth:`.world.World.module`).

A switch that a module has made is *exclusive*: whoever attaches, detaches or changes it shows the token that
came with it. It exists without ports until the module lets it go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..core.choice import Choose
from ..core.outcome import OK, Outcome, errno
from ..core.step import Step, rule
from . import requests, switch
from .result import Result
from .state import System
from .switch import BDG_C, VALE_C, Bridge

_CREATE = "14.callbacks.create"
CREATED = rule("14/callbacks/create/made", clause=_CREATE, source=f"{VALE_C}:253-281")
THERE = rule("14/callbacks/create/exists", clause=_CREATE, source=f"{VALE_C}:260-264")
NO_PLACE = rule("14/callbacks/create/no-place", clause=_CREATE, source=f"{VALE_C}:266-270")
_DESTROY = "14.callbacks.destroy"
DESTROYED = rule("14/callbacks/destroy/gone", clause=_DESTROY, source=f"{VALE_C}:284-313")
NONE = rule("14/callbacks/find/none", clause=_DESTROY, source=f"{VALE_C}:291-295")
NOT_MADE = rule("14/callbacks/destroy/not-exclusive", clause=_DESTROY, source=f"{VALE_C}:301-304")
PORTS = rule("14/callbacks/destroy/ports", clause=_DESTROY, source=f"{VALE_C}:306-310")
_EXCLUSIVE = "14.callbacks.exclusive"
STRANGER = rule(
    "14/callbacks/allowed/no-token", clause=_EXCLUSIVE, source=f"{BDG_C}:557-562,651-656,1011-1014"
)
_REGOPS = "14.callbacks.regops"
TAKES = rule("14/callbacks/regops/takes-over", clause=_REGOPS, source=f"{BDG_C}:1022-1033")
RESET = rule("14/callbacks/regops/reset", clause=_REGOPS, source=f"{BDG_C}:1017-1021")
UPDATED = rule("14/callbacks/update/data", clause="14.callbacks.data", source=f"{BDG_C}:251-283")
UPDATE_NONE = rule("14/callbacks/update/none", clause="14.callbacks.data", source=f"{BDG_C}:265-270")
DECIDED = rule("14/callbacks/lookup/module", clause="14.callbacks.lookup", source=f"{VALE_C}:762-790")
OTHER_RING = rule("14/callbacks/lookup/ring", clause="14.callbacks.lookup", source=f"{VALE_C}:762,797-798")
TOLD = rule("14/callbacks/leave/told", clause="14.callbacks.dtor", source=f"{BDG_C}:334-337")
CONFIG_NONE = rule("14/callbacks/config/none", clause="14.legacy.config", source=f"{BDG_C}:1043-1061")
CONFIGURED = rule("14/callbacks/config/handed-on", clause="14.legacy.config", source=f"{BDG_C}:1056-1060")

#: Who sends a request that no process sends: a module with the right token, or without.
TOKEN, NOBODY = -1, -2
#: What a module's lookup may answer beside an index: all ports but the sender's, or none.
ANSWERS = {"all": switch.BROADCAST, "none": switch.NOPORT}


# --- steps ----------------------------------------------------------------------------------------


def allowed(b: Bridge, token: bool) -> Step[bool]:
    """May who has the ``token``, or has not, change the switch? Source: nm_bdg_valid_auth_token."""
    if b.exclusive and not token:
        return Step(False, (STRANGER,), errno("EACCES"))
    return Step(True)


def destroy(b: Bridge) -> Step[bool]:
    """Does a switch go when its module lets it go? Source: netmap_vale_destroy."""
    if not b.exclusive:
        return Step(False, (NOT_MADE,), errno("EINVAL"))
    if b.ports:
        return Step(False, (PORTS,), errno("EBUSY"))
    return Step(True, (DESTROYED,))


def regops(b: Bridge, given: Mapping[str, Any]) -> Step[Bridge]:
    """A module's functions take the places of those there are; those it does not give stay.

    ``given`` has ``lookup`` (index, ring or -1), ``config`` (an errno or OK) and ``dtor``. With none of them
    the switch is netmap's own again, and has forgotten every address. Source: netmap_bdg_regops.
    """
    if not given:
        return Step(replace(b, table=(), lookup=(), config="", dtor=False), (RESET,))
    return Step(replace(b, **given), (TAKES,))


def configured(b: Bridge | None) -> Step[bool]:
    """What NIOCCONFIG for a switch, or for none, ends with. Source: netmap_bdg_config."""
    if b is None or not b.config:
        return Step(False, (CONFIG_NONE,), errno("EINVAL"))
    return Step(True, (CONFIGURED,), OK if b.config == "OK" else errno(b.config))


def ring_of(b: Bridge, own: int) -> Step[int]:
    """The number of the receive ring a packet goes to: the sender's, unless a module says another one."""
    if b.lookup and b.lookup[1] >= 0:
        return Step(b.lookup[1], (OTHER_RING,))
    return Step(own)


# --- the module's calls ---------------------------------------------------------------------------


def find(s: System, name: str) -> int:
    """The place of the switch of this name, which ends with its first colon; -1 for none."""
    named = switch.switch_name(name)
    if not named.outcome.ok:
        return -1
    return next((place for place, b in s.bridges.items() if b.name == named.state), -1)


def run(
    s: System, action: str, name: str, fields: Mapping[str, Any], switches: frozenset[str], choose: Choose
) -> Result:
    """One call of a module: ``create``, ``destroy``, ``regops``, ``update``, ``attach``, ``detach``, or
    ``told``, which tells the ports that its function was told of.

    ``fields``: ``token=0`` is not the right one; ``lookup`` (an index, ``all`` or ``none``), ``ring``,
    ``config``, ``dtor`` are its functions. Raises ``ValueError`` for others.
    """
    token = bool(fields.get("token", 1))
    rest = {k: v for k, v in fields.items() if k != "token"}
    if action in ("attach", "detach"):
        file = TOKEN if token else NOBODY
        request = "VALE_ATTACH" if action == "attach" else "VALE_DETACH"
        done = requests.run(s, file, request, {"name": name, **rest}, switches, choose, in_kernel=True)
        return Result(done.outcome, done.fired)
    if action == "create":
        return _create(s, name)
    if action == "told":
        told, s.told = s.told, ()
        return Result(out={"ports": list(told)})
    place = find(s, name)
    if place < 0:
        if action == "update":
            return Result(errno("EINVAL"), (UPDATE_NONE,))
        return Result(errno("ENXIO"), (NONE,))
    b = s.bridges[place]
    may = allowed(b, token)
    if not may.outcome.ok:
        return Result(may.outcome, may.fired)
    if action == "destroy":
        step = destroy(b)
        if step.state:
            del s.bridges[place]
        return Result(step.outcome, step.fired)
    given = functions(rest)
    if action == "update":
        s.bridges[place] = replace(b, **{k: v for k, v in given.items() if k == "lookup"})
        return Result(fired=(UPDATED,))
    if action != "regops":
        raise ValueError(f"a module has no call '{action}'")
    changed = regops(b, given)
    s.bridges[place] = changed.state
    return Result(fired=changed.fired)


def functions(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A module's functions as a switch has them."""
    given: dict[str, Any] = {}
    for key, value in fields.items():
        if key == "lookup":
            index = ANSWERS.get(str(value), value)
            given["lookup"] = (int(index), int(fields.get("ring", -1)))
        elif key == "config":
            given["config"] = str(value)
        elif key == "dtor":
            given["dtor"] = bool(value)
        elif key != "ring":
            raise ValueError(f"a module has no '{key}'")
    return given


def _create(s: System, name: str) -> Result:
    """A switch of the module's own, without ports. Source: netmap_vale_create."""
    if find(s, name) >= 0:
        return Result(errno("EEXIST"), (THERE,))
    named = switch.switch_name(name, len(switch.PREFIX))
    names = tuple(s.bridges[i].name if i in s.bridges else "" for i in range(s.params.max_bridges))
    at = switch.place(names, named.state)
    end: Outcome = at.outcome if named.outcome.ok else named.outcome
    if not end.ok:
        return Result(errno("ENOMEM"), (*named.fired, NO_PLACE))
    s.bridges[at.state] = Bridge(named.state, exclusive=True)
    return Result(fired=(*named.fired, *at.fired, CREATED))
