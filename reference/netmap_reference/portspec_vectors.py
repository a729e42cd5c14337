"""Test vectors of port specifications: how nm_open and libnetmap read a word, by the contract.

In nmport_parse's vectors the port ``v0`` has memory 1 and there is no other, and the file ``pool`` has
8388608 bytes and there is no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from .gen14.libraries.nm_open import Nmreq, nm_parse
from .gen14.libraries.nmport import Around, Port, nmport_parse

Row = tuple[int | bool | str, ...]

_PREFIXES = ("netmap:", "vale:", "vale0:", "netmap", "vale", "vale-:", "eth0")
_NAMES = ("x", "", "a.b", "x:y", "f" * 14, "f" * 15, "f" * 16, "e" * 63, "e" * 64)
_SUFFIXES = (
    *("", "^", "*", "-0", "-4094", "-4095", "-", "-x", "-/x", "{1", "}1", "{", "{x", "{/x", "^2", "^x"),
    *("/x", "/z", "/t", "/r", "/R", "/T", "/xzT", "/", "/q", "/x/t", "@1", "@65535", "@65536", "@0", "@"),
    *("{1}2", "@+1", "@1/x", "/x@1", "@1@1", "@1@2", "*@1", "^/T@2"),
)
_OPTIONS = (
    *("@conf:rings=2", "@conf:host-rings=2,slots=64", "@conf:tx-rings=1,rx_rings=2,rings=3", "@conf=4"),
    *("@conf:host-tx-rings=1,host-rx-rings=2,tx-slots=3,rx-slots=4", "@conf:rings=70000,slots=-1"),
    *("@conf:rings=x", "@conf:rings=", "@conf:", "@conf", "@conf:rings", "@conf:rings=1,rings=2", "@conf="),
    *("@", "@conf:rings=1,", "@conf:colour=1", "@bogus=1", "@@conf:rings=1", "@conf:rings=1@conf:slots=2"),
    *("@share=netmap:v0", "@share:port=netmap:v0", "@1@share=netmap:v0", "@7@share=netmap:v0"),
    *("@share=netmap:v1", "@share=v0", "@share=netmap:v0/x", "@share", "@extmem=pool", "@extmem=none"),
    *("@extmem:file=pool,if-num=1,if-size=2,ring-num=3,ring-size=4,buf-num=5,buf-size=6", "@extmem:if-num=1"),
    *("@extmem=pool@extmem=pool", "@offset=16", "@offset:initial=16,bits=20", "@offset:bits=20"),
)

NM_PARSE_INPUTS = ("spec", "ringid", "flags")
NM_PARSE_OUTPUTS = ("errno", "rule", "name", "ringid'", "flags'", "arg2")
NMPORT_INPUTS = ("spec", "offset_enabled")
NMPORT_OUTPUTS = (
    *("errno", "rule", "version", "name", "mode", "ringid", "flags", "mem_id", "tx_slots", "rx_slots"),
    *("tx_rings", "rx_rings", "host_tx_rings", "host_rx_rings", "options"),
)


def specifications() -> Iterator[str]:
    """Every prefix with every name, and every suffix behind a port of each kind."""
    yield from (prefix + name for prefix, name in product(_PREFIXES, _NAMES))
    yield from (name + suffix for name, suffix in product(("netmap:x", "vale0:a"), _SUFFIXES))


def nm_parse_cases() -> Iterator[Row]:
    """The specifications, and a few on top of a request that has a ring or a mode already."""
    yield from ((text, 0, 0) for text in specifications())
    yield from product(("netmap:x", "netmap:x^", "netmap:x-2"), (1, 0x1000), (0, 1, 0x800))


def nm_parse_row(text: str, ringid: int, flags: int) -> Row:
    """Outcome and request; a request that is refused is as it was."""
    step = nm_parse(text, Nmreq("", ringid, flags))
    r = step.state
    return (step.outcome.detail, _rule(step.fired), r.name, r.ringid, r.flags, r.arg2)


def nmport_cases() -> Iterator[Row]:
    """The specifications, and options behind one."""
    yield from ((text, False) for text in specifications())
    yield from ((f"netmap:x{option}", enabled) for option, enabled in product(_OPTIONS, (False, True)))


def nmport_row(text: str, offset_enabled: bool) -> Row:
    """Outcome and descriptor; options as ``TYPE field=value …``, as the kernel sees them."""
    around = Around(
        lambda name: 1 if name == "v0" else "ENXIO",
        lambda name: 8 << 20 if name == "pool" else "ENOENT",
        frozenset({"offset"} if offset_enabled else ()),
    )
    step = nmport_parse(text, around)
    p = step.state
    kept = tuple(getattr(p, n) for n in Port.__slots__ if n not in ("version", "reqtype", "name", "options"))
    return (step.outcome.detail, _rule(step.fired), p.version, p.name, *kept, _options(p))


def _options(p: Port) -> str:
    found = (dict(option) for option in p.options)
    return "; ".join(
        " ".join([str(o["type"]), *(f"{k}={v}" for k, v in o.items() if k != "type")]) for o in found
    )


def _rule(fired: tuple[str, ...]) -> str:
    """The last two parts of the id of the rule that decided, which is the last but the one on failures."""
    deciding = [r for r in fired if not r.startswith("14/nmport/failure/")]
    return "/".join(deciding[-1].split("/")[-2:])
