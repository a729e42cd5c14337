"""Chapter *nmport options*: ``@NAME``, ``@NAME=VALUE`` and ``@NAME:KEY=VALUE,…`` behind a port specification.

``share`` takes another port's memory, ``conf`` asks for numbers of rings and slots, ``extmem`` makes a file
the memory, ``offset`` (off unless the program turns it on) reserves part of ``ptr``. A value is read as far
as it is a number, and cut to the width of its field.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...core.step import rule
from .nmport import Around, Port, header
from .words import NMPORT_C, NMREQ_C, Unreadable, strtol

LIBNETMAP_H = "luigirizzo/netmap:libnetmap/libnetmap.h@89607e14"

#: ``conf=N`` is refused, though ``rings`` is told to be conf's default key.
NO_DEFAULT = "14.nmport-conf-no-default"
#: After a comma at the end the library reads on behind its copy, and writes there.
OVERRUN = "14.nmport-option-overrun"
#: What stands behind the name of a shared port is not looked at.
SHARE_REST = "14.nmport-share-rest"
AS_WRITTEN = frozenset({NO_DEFAULT, OVERRUN, SHARE_REST})

_SYNTAX = "14.nmport.options"
NONE = rule("14/nmport/options/none", clause=_SYNTAX, source=f"{NMREQ_C}:559-560")
UNKNOWN = rule("14/nmport/options/unknown", clause=_SYNTAX, source=f"{NMREQ_C}:503-507,576-580")
DISABLED = rule("14/nmport/options/disabled", clause="14.nmport.enabled", source=f"{NMREQ_C}:508-512")
ENABLED = rule("14/nmport/options/enabled", clause="14.nmport.enabled", source=f"{NMPORT_C}:519-532")
NO_BODY = rule("14/nmport/options/no-body", clause=_SYNTAX, source=f"{NMREQ_C}:519-526")
NOT_SINGLE = rule("14/nmport/options/no-default-key", clause="14.nmport.conf", source=f"{NMREQ_C}:528-533",
                  switch=NO_DEFAULT)  # fmt: skip
NO_VALUE = rule("14/nmport/options/no-value", clause=_SYNTAX, source=f"{NMREQ_C}:534-538")
SINGLE = rule("14/nmport/options/single", clause=_SYNTAX, source=f"{NMREQ_C}:527-541")
_KEYS = "14.nmport.keys"
KEYS = rule("14/nmport/keys/assigned", clause=_KEYS, source=f"{NMREQ_C}:409-476")
KEY_UNKNOWN = rule("14/nmport/keys/unknown", clause=_KEYS, source=f"{NMREQ_C}:432-440")
KEY_TWICE = rule("14/nmport/keys/twice", clause=_KEYS, source=f"{NMREQ_C}:441-447")
KEY_ALONE = rule("14/nmport/keys/no-value", clause=_KEYS, source=f"{NMREQ_C}:456-463")
KEY_EMPTY = rule("14/nmport/keys/empty-value", clause=_KEYS, source=f"{NMREQ_C}:454-455")
KEY_NEEDED = rule("14/nmport/keys/needed", clause=_KEYS, source=f"{NMREQ_C}:466-474")
COMMA_OVERRUN = rule("14/nmport/keys/overrun", clause=_KEYS, source=f"{NMREQ_C}:419-453", switch=OVERRUN)
_SHARE = "14.nmport.share"
SHARE = rule("14/nmport/share/memory", clause=_SHARE, source=f"{NMPORT_C}:389-408")
SHARE_NONE = rule("14/nmport/share/no-port", clause=_SHARE, source=f"{NMREQ_C}:196-235")
SHARE_OTHER = rule("14/nmport/share/other-memory", clause=_SHARE, source=f"{NMPORT_C}:400-405")
SHARE_BAD = rule("14/nmport/share/rest", clause=_SHARE, source=f"{NMREQ_C}:218-228")
SHARE_PASSED = rule(
    "14/nmport/share/rest-passed", clause=_SHARE, source=f"{NMREQ_C}:218-228", switch=SHARE_REST
)
CONF = rule("14/nmport/conf/shape", clause="14.nmport.conf", source=f"{NMPORT_C}:449-490")
EXTMEM = rule("14/nmport/extmem/file", clause="14.nmport.extmem", source=f"{NMPORT_C}:410-447")
EXTMEM_NONE = rule("14/nmport/extmem/no-file", clause="14.nmport.extmem", source=f"{NMPORT_C}:191-244")
EXTMEM_TWICE = rule("14/nmport/extmem/twice", clause="14.nmport.extmem", source=f"{NMPORT_C}:134-138")
OFFSET = rule("14/nmport/offset", clause="14.nmport.offset", source=f"{NMPORT_C}:492-506")


@dataclass(frozen=True, slots=True)
class Kind:
    """One option: its keys in order, the default one, the ones that must be given, is it on by itself?"""

    keys: tuple[str, ...]
    default: str = ""
    needed: tuple[str, ...] = ()
    usual: bool = True


KINDS = {
    "share": Kind(("port",), "port", ("port",)),
    "extmem": Kind(
        ("file", "if_num", "if_size", "ring_num", "ring_size", "buf_num", "buf_size"), "file", ("file",)
    ),
    "conf": Kind(
        ("rings", "host_rings", "slots", "tx_rings", "rx_rings", "host_tx_rings", "host_rx_rings", "tx_slots",
         "rx_slots"),
        "rings",
    ),
    "offset": Kind(("initial", "bits"), "initial", ("initial",), usual=False),
}  # fmt: skip


def options(text: str, port: Port, around: Around) -> Port:
    """Apply a list of options, which begins with ``@`` when there is one. Source: nmreq_options_decode."""
    if not text:
        around.fired.append(NONE)
        return port
    for option in text[1:].split("@"):
        port = _one(option, port, around)
    return port


def _one(text: str, port: Port, around: Around) -> Port:
    """One option. Source: nmreq_option_decode1."""
    at = next((i for i, c in enumerate(text) if c in ":="), len(text))
    name, delimiter, body = text[:at], text[at : at + 1], text[at + 1 :]
    kind = KINDS.get(name)
    if kind is None:
        around.fired.append(UNKNOWN)
        raise Unreadable("EINVAL")
    allowed = kind.usual
    if name in around.enabled:
        around.fired.append(ENABLED)
        allowed = True
    if name in around.disabled or not allowed:
        around.fired.append(DISABLED)
        raise Unreadable("EOPNOTSUPP")
    if not delimiter:
        around.fired.append(NO_BODY)
        raise Unreadable("EINVAL")
    if name == "conf" and delimiter == "=" and NO_DEFAULT in around.switches:
        around.fired.append(NOT_SINGLE)
        raise Unreadable("EINVAL")
    if delimiter == "=" and not body:
        around.fired.append(NO_VALUE)
        raise Unreadable("EINVAL")
    if delimiter == "=":
        around.fired.append(SINGLE)
        keys = {kind.default: body}
    else:
        keys = _keys(kind, body, around)
    return _act(name, keys, port, around)


def _keys(kind: Kind, body: str, around: Around) -> dict[str, str]:
    """``KEY=VALUE,…``: hyphens in keys are underscores, an empty value is none. Source:
    nmreq_option_parsekeys.
    """
    found: dict[str, str] = {}
    parts = body.split(",") if body else []
    for i, part in enumerate(parts):
        if not part and i == len(parts) - 1 and OVERRUN in around.switches:
            around.fired.append(COMMA_OVERRUN)
            raise Unreadable("", "nmreq.c:419-453")
        key, equals, value = _split_key(part)
        if key not in kind.keys:
            around.fired.append(KEY_UNKNOWN)
            raise Unreadable("EINVAL")
        if key in found:
            around.fired.append(KEY_TWICE)
            raise Unreadable("EINVAL")
        if not equals:
            around.fired.append(KEY_ALONE)
            raise Unreadable("EINVAL")
        if not value:
            around.fired.append(KEY_EMPTY)
            continue
        around.fired.append(KEYS)
        found[key] = value
    if any(key not in found for key in kind.needed):
        around.fired.append(KEY_NEEDED)
        raise Unreadable("EINVAL")
    return found


def _split_key(part: str) -> tuple[str, bool, str]:
    """Key, was there a ``=``, value. The key's first character is never its end."""
    at = part.find("=", 1)
    key = part if at < 0 else part[:at]
    return key[:1] + key[1:].replace("-", "_"), at >= 0, part[at + 1 :] if at >= 0 else ""


def _number(text: str, bits: int) -> int:
    """atoi, stored in an unsigned field."""
    value = strtol(text).value % (1 << 32)
    if value >= 1 << 31:
        value -= 1 << 32
    return value % (1 << bits)


# --- what each does -----------------------------------------------------------------------------


def _share(keys: dict[str, str], port: Port, around: Around) -> Port:
    """The memory of the port that is named. Source: nmreq_get_mem_id."""
    name, rest = header(keys["port"], around)
    if rest:
        if SHARE_REST in around.switches:
            around.fired.append(SHARE_PASSED)
        else:
            around.fired.append(SHARE_BAD)
            raise Unreadable("EINVAL")
    found = around.memory_of(name)
    if isinstance(found, str):
        around.fired.append(SHARE_NONE)
        raise Unreadable(found)
    if port.mem_id not in (0, found):
        around.fired.append(SHARE_OTHER)
        raise Unreadable("EINVAL")
    if found:
        around.fired.append(SHARE)
        port = replace(port, mem_id=found)
    return port


def _conf(keys: dict[str, str], port: Port) -> Port:
    """Numbers of rings (16 bits) and slots (32); those of one direction come after those of both."""
    fields: dict[str, Any] = {}
    for key in KINDS["conf"].keys:
        if key in keys:
            both = key in ("rings", "host_rings", "slots")
            stem = key.removeprefix("host_")
            value = _number(keys[key], 32 if key.endswith("slots") else 16)
            host = "host_" if key.startswith("host_") else ""
            names = [f"{host}{t}_{stem}" for t in ("tx", "rx")] if both else [key]
            fields |= dict.fromkeys(names, value)
    return replace(port, **fields)


def _extmem(keys: dict[str, str], port: Port, around: Around) -> Port:
    """A file as the memory: its size, and the pools as they are asked for; once a port."""
    size = around.file_size(keys["file"])
    if isinstance(size, str):
        around.fired.append(EXTMEM_NONE)
        raise Unreadable(size)
    if any(dict(o)["type"] == "EXTMEM" for o in port.options):
        around.fired.append(EXTMEM_TWICE)
        raise Unreadable("EINVAL")
    asked: dict[str, int | str] = {"type": "EXTMEM", "nr_memsize": size}
    for pool in ("if", "ring", "buf"):
        for key, name in (("num", "objtotal"), ("size", "objsize")):
            asked[f"nr_{pool}_pool_{name}"] = _number(keys.get(f"{pool}_{key}", "0"), 32)
    return replace(port, options=(tuple(asked.items()), *port.options))


def _offset(keys: dict[str, str], port: Port) -> Port:
    """OFFSETS with the largest offset equal to the initial one."""
    initial, bits = (_number(keys.get(key, "0"), 64) for key in ("initial", "bits"))
    asked: dict[str, int | str] = {
        "type": "OFFSETS", "max_offset": initial, "initial_offset": initial,
        "offset_bits": bits % (1 << 32), "min_gap": 0,
    }  # fmt: skip
    return replace(port, options=(tuple(asked.items()), *port.options))


def _act(name: str, keys: dict[str, str], port: Port, around: Around) -> Port:
    """Do what the option is for."""
    if name == "conf":
        around.fired.append(CONF)
        return _conf(keys, port)
    if name == "extmem":
        around.fired.append(EXTMEM)
        return _extmem(keys, port, around)
    if name == "offset":
        around.fired.append(OFFSET)
        return _offset(keys, port)
    return _share(keys, port, around)
