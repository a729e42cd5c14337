"""Chapter *legacy*: NIOCREGIF and NIOCGINFO with ``struct nmreq``, the interface before NIOCCTRL.

Each is translated into a request of :mod:`.requests`, carried out, and translated back: ``nr_cmd`` says which
request, the mode stands in the low bits of ``nr_flags`` or, older still, in the high bits of ``nr_ringid``.
There is no list of options and no number of host rings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from netmap_spec.abi import api14
from netmap_spec.abi.views import Int

from ..core.choice import Choose
from ..core.outcome import errno
from ..core.step import Step, rule
from . import callbacks, request, requests
from .result import Result
from .state import System

LEGACY_C = "luigirizzo/netmap:sys/dev/netmap/netmap_legacy.c@89607e14"

#: Every version from 14 on is accepted, not only the kernel's own.
VERSION_UNBOUNDED = "14.legacy-version-unbounded"
#: ``nr_version`` does not come back as the kernel's own.
VERSION_KEPT = "14.legacy-version-kept"
AS_WRITTEN = frozenset({VERSION_UNBOUNDED, VERSION_KEPT})

_VERSION = "14.legacy.version"
TOO_OLD = rule("14/legacy/version/too-old", clause=_VERSION, source=f"{LEGACY_C}:374-378")
TOO_NEW = rule("14/legacy/version/too-new", clause=_VERSION, source=f"{LEGACY_C}:374-378")
UNBOUNDED = rule(
    "14/legacy/version/unbounded", clause=_VERSION, source=f"{LEGACY_C}:374-378", switch=VERSION_UNBOUNDED
)
TOLD = rule("14/legacy/version/told", clause="14.legacy.version-told", source=f"{LEGACY_C}:374-378,383-387")
KEPT = rule(
    "14/legacy/version/kept",
    clause="14.legacy.version-told",
    source=f"{LEGACY_C}:374-378,383-387",
    switch=VERSION_KEPT,
)

_MODE = "14.legacy.mode"
MODE_FLAGS = rule("14/legacy/mode/flags", clause=_MODE, source=f"{LEGACY_C}:87-89")
MODE_HOST = rule("14/legacy/mode/sw-ring", clause=_MODE, source=f"{LEGACY_C}:75-80")
MODE_ONE = rule("14/legacy/mode/hw-ring", clause=_MODE, source=f"{LEGACY_C}:81-82")
MODE_ALL = rule("14/legacy/mode/all", clause=_MODE, source=f"{LEGACY_C}:83-86")
PIPE = rule("14/legacy/mode/pipe", clause="14.legacy.pipe", source=f"{LEGACY_C}:91-106")
POLL_FLAGS = rule("14/legacy/flags/poll", clause="14.legacy.poll-flags", source=f"{LEGACY_C}:108-113")

_COMMAND = "14.legacy.commands"
REGISTER = rule("14/legacy/command/register", clause=_COMMAND, source=f"{LEGACY_C}:145-155")
ATTACH = rule("14/legacy/command/attach", clause=_COMMAND, source=f"{LEGACY_C}:156-171")
OTHER = rule("14/legacy/command/other", clause=_COMMAND, source=f"{LEGACY_C}:172-225")
NONE = rule("14/legacy/command/none", clause=_COMMAND, source=f"{LEGACY_C}:142-144,231-233")
PASSTHROUGH = rule("14/legacy/command/passthrough", clause=_COMMAND, source=f"{LEGACY_C}:226-231")
INFO = rule("14/legacy/command/info", clause=_COMMAND, source=f"{LEGACY_C}:243-257")
LIST = rule("14/legacy/command/list", clause=_COMMAND, source=f"{LEGACY_C}:236-242")
BACK = rule("14/legacy/back", clause="14.legacy.back", source=f"{LEGACY_C}:275-358")

#: NIOCREGIF's commands that are other requests now.
COMMANDS = {
    api14.NETMAP_BDG_ATTACH: "VALE_ATTACH",
    api14.NETMAP_BDG_DETACH: "VALE_DETACH",
    api14.NETMAP_BDG_VNET_HDR: "PORT_HDR_SET",
    api14.NETMAP_VNET_HDR_GET: "PORT_HDR_GET",
    api14.NETMAP_BDG_NEWIF: "VALE_NEWIF",
    api14.NETMAP_BDG_DELIF: "VALE_DELIF",
    api14.NETMAP_BDG_POLLING_ON: "VALE_POLLING_ENABLE",
    api14.NETMAP_BDG_POLLING_OFF: "VALE_POLLING_DISABLE",
}
#: A type no request has, for a command that is none.
NO_REQUEST = "0"
FIELDS = {name: kind for name, kind in vars(api14.nmreq).items() if isinstance(kind, Int)}


# --- steps ------------------------------------------------------------------------------------


def check_version(version: int, switches: frozenset[str] = frozenset()) -> Step[bool]:
    """EINVAL for a version before 14, and for one the kernel does not know."""
    if version < api14.NETMAP_API:
        return Step(False, (TOO_OLD,), errno("EINVAL"))
    if version > api14.NETMAP_API:
        if VERSION_UNBOUNDED in switches:
            return Step(True, (UNBOUNDED,))
        return Step(False, (TOO_NEW,), errno("EINVAL"))
    return Step(True)


def command(info: bool, cmd: int) -> Step[str]:
    """The request that an ``nr_cmd`` stands for. ENOMEM for those of the passthrough that is gone.

    Source: nmreq_from_legacy.
    """
    if info:
        return Step("VALE_LIST", (LIST,)) if cmd == api14.NETMAP_BDG_LIST else Step("PORT_INFO_GET", (INFO,))
    if cmd == 0:
        return Step("REGISTER", (REGISTER,))
    if cmd in (api14.NETMAP_PT_HOST_CREATE, api14.NETMAP_PT_HOST_DELETE):
        return Step(NO_REQUEST, (PASSTHROUGH,), errno("ENOMEM"))
    if cmd in COMMANDS:
        fired = ATTACH if cmd == api14.NETMAP_BDG_ATTACH else OTHER
        return Step(COMMANDS[cmd], (fired,))
    return Step(NO_REQUEST, (NONE,))


@dataclass(frozen=True, slots=True)
class Binding:
    """Which rings a request asks for: ``mode``, ring number, flags; ``pipe`` ends the name."""

    mode: int
    ringid: int
    flags: int
    pipe: str = ""


def binding(ringid: int, flags: int) -> Step[Binding]:
    """Mode, ring number and flags of a REGISTER. Source: nmreq_register_from_legacy."""
    number = ringid & api14.NETMAP_RING_MASK
    mode = flags & api14.NR_REG_MASK
    rest = flags - mode
    if mode != api14.NR_REG_DEFAULT:
        fired: tuple[str, ...] = (MODE_FLAGS,)
    elif ringid & api14.NETMAP_SW_RING:
        mode, fired = api14.NR_REG_SW, (MODE_HOST,)
    elif ringid & api14.NETMAP_HW_RING:
        mode, fired = api14.NR_REG_ONE_NIC, (MODE_ONE,)
    else:
        mode, fired = api14.NR_REG_ALL_NIC, (MODE_ALL,)
    no_tx, do_rx = ringid & api14.NETMAP_NO_TX_POLL, ringid & api14.NETMAP_DO_RX_POLL
    if no_tx or do_rx:
        fired = (*fired, POLL_FLAGS)
        rest |= (api14.NR_NO_TX_POLL if no_tx else 0) | (api14.NR_DO_RX_POLL if do_rx else 0)
    if mode == api14.NR_REG_PIPE_MASTER:
        return Step(Binding(api14.NR_REG_ALL_NIC, 0, rest, f"{{{number}"), (*fired, PIPE))
    if mode == api14.NR_REG_PIPE_SLAVE:
        return Step(Binding(api14.NR_REG_ALL_NIC, 0, rest, f"}}{number}"), (*fired, PIPE))
    return Step(Binding(mode, number, rest), fired)


def polling_mode(flags: int) -> int:
    """The mode of the polling threads: one for each ring, one for all, or none there is."""
    mode = flags & api14.NR_REG_MASK
    if mode == api14.NR_REG_ONE_NIC:
        return int(api14.NETMAP_POLLING_MODE_MULTI_CPU)
    return int(api14.NETMAP_POLLING_MODE_SINGLE_CPU) if mode == api14.NR_REG_ALL_NIC else 0


# --- there and back ---------------------------------------------------------------------------

#: Fields that have the same name on both sides.
_SHAPE = ("tx_slots", "rx_slots", "tx_rings", "rx_rings")
#: Fields by request: as nmreq calls them, as the request does. What is asked for, and what comes back.
_ASK = {
    "REGISTER": {**{n: n for n in _SHAPE}, "offset": "offset", "memsize": "memsize", "arg2": "mem_id",
                 "arg3": "extra_bufs"},
    "PORT_INFO_GET": {**{n: n for n in _SHAPE}, "memsize": "memsize", "arg2": "mem_id"},
    "VALE_LIST": {"arg1": "bridge_idx", "arg2": "port_idx"},
    "PORT_HDR_SET": {"arg1": "hdr_len"},
    "PORT_HDR_GET": {"arg1": "hdr_len"},
    "VALE_NEWIF": {**{n: n for n in _SHAPE}, "arg2": "mem_id"},
    "VALE_POLLING_ENABLE": {"arg1": "num_polling_cpus"},
    "VALE_POLLING_DISABLE": {"arg1": "num_polling_cpus"},
}  # fmt: skip
_ASK["VALE_ATTACH"] = _ASK["REGISTER"]
_ONLY_ASKED = frozenset({"VALE_POLLING_ENABLE", "VALE_POLLING_DISABLE"})


def translate(name: str, nmr: Mapping[str, int], fired: list[str]) -> dict[str, Any]:
    """The fields of the request ``name`` for those of a ``struct nmreq``."""
    fields: dict[str, Any] = {new: nmr[f"nr_{old}"] for old, new in _ASK.get(name, {}).items()}
    if name in ("REGISTER", "VALE_ATTACH"):
        step = binding(nmr["nr_ringid"], nmr["nr_flags"])
        fired.extend(step.fired)
        bound = step.state
        fields |= {"mode": bound.mode, "ringid": bound.ringid, "flags": bound.flags}
        if name == "VALE_ATTACH":
            host = nmr["nr_arg1"] & api14.NETMAP_BDG_HOST
            fields["mode"] = api14.NR_REG_NIC_SW if host else api14.NR_REG_ALL_NIC
        fields["pipe"] = bound.pipe
    if name.startswith("VALE_POLLING"):
        fields["mode"] = polling_mode(nmr["nr_flags"])
        fields["first_cpu_id"] = nmr["nr_ringid"] & api14.NETMAP_RING_MASK
    return fields


def back(name: str, body: Mapping[str, Any]) -> dict[str, int]:
    """The fields of ``struct nmreq`` that a request which succeeded stores, cut to their width there."""
    if name in _ONLY_ASKED:
        return {}
    inner = body.get("reg", body)
    return {
        f"nr_{old}": inner[f"nr_{new}"] % (1 << 8 * FIELDS[f"nr_{old}"].size)
        for old, new in _ASK.get(name, {}).items()
    }


def legacy(
    s: System, file: int, info: bool, sent: Mapping[str, Any], switches: frozenset[str], choose: Choose
) -> Result:
    """NIOCGINFO (``info``) or NIOCREGIF. ``sent`` are the fields of ``struct nmreq`` without ``nr_``; the
    version defaults to 14. ``out`` has all of them as they come back, ``nr_name`` only when it changes.

    Raises ``ValueError`` for a field it does not have. Source: netmap_ioctl_legacy.
    """
    fields = {k: v for k, v in sent.items() if k != "request"}
    port = str(fields.pop("name", ""))[: request.IFNAMSIZ - 1]
    nmr = dict.fromkeys(FIELDS, 0) | {"nr_version": int(api14.NETMAP_API)}
    for key, value in fields.items():
        member = f"nr_{key.removeprefix('nr_')}"
        if member not in FIELDS:
            raise ValueError(f"struct nmreq has no field '{key}'")
        nmr[member] = request.named(value, "NETMAP_") % (1 << 8 * FIELDS[member].size)
    fired: list[str] = []
    step = check_version(nmr["nr_version"], switches)
    told = dict(nmr)
    if nmr["nr_version"] != api14.NETMAP_API:
        if VERSION_KEPT in switches:
            fired.append(KEPT)
        else:
            fired.append(TOLD)
            told["nr_version"] = int(api14.NETMAP_API)
    fired.extend(step.fired)
    if not step.outcome.ok:
        return Result(step.outcome, tuple(fired), told)
    asked = command(info, nmr["nr_cmd"])
    fired.extend(asked.fired)
    if not asked.outcome.ok:
        return Result(asked.outcome, tuple(fired), told)
    body = translate(asked.state, nmr, fired)
    body["name"] = port + body.pop("pipe", "")
    result = requests.run(s, file, asked.state, body, switches, choose, in_kernel=True)
    if result.outcome.ok:
        fired.append(BACK)
        told |= back(asked.state, result.out)
        if asked.state == "VALE_LIST":
            told["nr_name"] = result.hdr["nr_name"][: request.IFNAMSIZ - 1]
    return replace(result, fired=(*fired, *result.fired), out=told, hdr={}, options=())


def config(s: System, name: str) -> Result:
    """NIOCCONFIG: for switches that a module configures, which none of netmap's own is."""
    place = callbacks.find(s, name)
    step = callbacks.configured(s.bridges.get(place))
    return Result(step.outcome, step.fired)
