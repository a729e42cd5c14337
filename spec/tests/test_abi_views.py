"""Views: fields of C structures over any bytes, at the measured offsets and with C's widths."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from netmap_spec import abi
from netmap_spec.abi import Buffer, View, api14, api2011, views

#: Every version on its main target, and on one of each other shape: 32-bit words, 64-bit time there.
NAMES = [
    f"{version}@{target}"
    for version in abi.tables()
    for target in dict.fromkeys(
        (abi.layout(version).target, "freebsd-i386", "freebsd-armv7", "linux-i386-time64")
    )
]
CLASSES = [
    pytest.param(generation, kind, id=f"{generation}-{kind.__name__}")
    for generation, module in {"2011": api2011, "14": api14}.items()
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, View) and kind is not View
]


def ints(kind: type[View]) -> dict[str, views.Int]:
    return {name: field for name, field in vars(kind).items() if isinstance(field, views.Int)}


@pytest.mark.parametrize("name", NAMES)
def test_every_measured_struct_has_a_view_of_its_size(name: str) -> None:
    module = abi.module(name)
    for owner, measured in abi.layout(name).structs.items():
        kind = getattr(module, owner)
        assert (owner, measured.size, measured.align) == (kind.NAME, kind.SIZE, kind.ALIGN)


@pytest.mark.parametrize("name", NAMES)
def test_every_measured_member_has_a_field_at_its_offset_and_as_wide(name: str) -> None:
    module = abi.module(name)
    for owner, measured in abi.layout(name).structs.items():
        kind = getattr(module, owner)
        for f in measured.fields:
            if f.inner:
                continue
            if f.bare == "struct timeval":
                assert vars(kind)[f"{f.name}_sec"].offset == f.offset
                assert vars(kind)[f"{f.name}_usec"].offset == f.offset + f.size // 2
                continue
            field = vars(kind).get(f"{f.name}_") or vars(kind)[f.name]
            assert field.offset == f.offset, f"{owner}.{f.name}"
            if hasattr(field, "size"):
                assert field.size == f.size, f"{owner}.{f.name}"
            else:
                assert (f.elem_size,) == (field.kind.SIZE,), f"{owner}.{f.name}"


@pytest.mark.parametrize("name", NAMES)
def test_members_of_unnamed_structs_have_fields_too(name: str) -> None:
    module, found = abi.module(name), []
    for owner, measured in abi.layout(name).structs.items():
        for f in (f for f in measured.fields if f.inner):
            outer, member = f.name.split(".")
            outer = outer.split("[")[0]
            field = vars(getattr(module, f"{owner}_{outer}"))[member]
            assert measured.field(outer).offset + field.offset == f.offset
            found.append(f.name)
    assert found or abi.layout(name).api in (None, *range(12))


@pytest.mark.parametrize("name", NAMES)
def test_constants_texts_and_codes_are_those_of_the_tables(name: str) -> None:
    module, layout = abi.module(name), abi.layout(name)
    assert {constant: getattr(module, constant) for constant in layout.constants} == layout.constants
    assert {text: getattr(module, text) for text in layout.strings} == layout.strings
    assert layout.ioctls == module.IOCTLS


def test_the_committed_modules_are_what_a_version_gives() -> None:
    assert (abi.module("14"), abi.module("2011")) == (api14, api2011)
    assert abi.module("api14-freebsd-zig0.17").netmap_ring.SIZE == api14.netmap_ring.SIZE
    with pytest.raises(abi.AbiError):
        abi.module("15")


def test_words_are_as_wide_as_on_the_target() -> None:
    wide, narrow = abi.module("api4-2013-11"), abi.module("api4-2013-11@freebsd-i386")
    assert (wide.netmap_ring.buf_ofs.size, narrow.netmap_ring.buf_ofs.size) == (8, 4)
    arm, i386 = (abi.module(f"14@freebsd-{cpu}").netmap_ring for cpu in ("armv7", "i386"))
    assert (arm.ts_sec.size, arm.ts_usec.size) == (8, 4)
    assert (i386.ts_sec.size, i386.ts_usec.size) == (4, 4)


@pytest.mark.parametrize(("generation", "kind"), CLASSES)
def test_an_integer_goes_where_c_puts_it_and_comes_back(generation: str, kind: type[View]) -> None:
    """Each field alone, with its extreme values; the bytes around it stay as they were."""
    for name, field in ints(kind).items():
        bits = 8 * field.size
        unsigned = (0, 1, 2**bits - 1)
        signed = (-(2 ** (bits - 1)), -1, 2 ** (bits - 1) - 1)
        memory = bytearray(b"\xaa" * kind.SIZE)
        view = kind(Buffer(memory))
        taken = []
        for value in (*unsigned, *signed):
            try:
                setattr(view, name, value)
            except struct.error:
                continue
            taken.append(value)
            assert getattr(view, name) == value
            at = field.offset
            assert memory[at : at + field.size] == (value % 2**bits).to_bytes(field.size, "little")
            assert memory[:at] == b"\xaa" * at
            assert memory[at + field.size :] == b"\xaa" * (kind.SIZE - at - field.size)
        assert taken in ([0, 1, 2**bits - 1, 2 ** (bits - 1) - 1], [0, 1, *signed])


def test_a_value_that_does_not_fit_is_refused() -> None:
    ring = api14.netmap_ring.new()
    for value in (-1, 2**32):
        with pytest.raises(struct.error):
            ring.head = value
    with pytest.raises(struct.error):
        ring.ringid = 2**16


def test_a_view_looks_at_an_offset_of_a_larger_memory() -> None:
    memory = bytearray(1024)
    ring = api14.netmap_ring(Buffer(memory), 512)
    ring.cur = 7
    assert struct.unpack_from("<I", memory, 512 + 24) == (7,)
    assert api14.netmap_ring(Buffer(memory), 0).cur == 0


def test_text_is_cut_as_strlcpy_cuts_it_and_read_up_to_its_nul() -> None:
    header = api14.nmreq_header.new()
    header.nr_name = "x" * 200
    assert header.nr_name == "x" * 63
    header.nr_name = "v0{1"
    assert header.nr_name == "v0{1"
    assert header.tobytes()[8:72] == b"v0{1" + bytes(60)
    unterminated = api14.nmreq_header(Buffer(bytearray(b"y" * 88)))
    assert unterminated.nr_name == "y" * 64


def test_arrays_inside_a_struct_have_bounds() -> None:
    info = api14.netmap_if.new()
    info.ni_spare1[2] = 5
    assert [info.ni_spare1[i] for i in range(3)] == [0, 0, 5]
    for index in (-1, 3):
        with pytest.raises(IndexError):
            info.ni_spare1[index]
        with pytest.raises(IndexError):
            info.ni_spare1[index] = 1


def test_a_flexible_array_reaches_as_far_as_the_memory() -> None:
    ring = api14.netmap_ring.new(extra=2 * api14.netmap_slot.SIZE)
    ring.slot[1].buf_idx = 9
    assert ring.slot[1].buf_idx == 9
    assert ring.mem.read(256 + 16, 4) == b"\x09\0\0\0"
    for index in (-1, 2):
        with pytest.raises(IndexError):
            ring.slot[index].len = 1
    info = api14.netmap_if.new(extra=8)
    info.ring_ofs[0] = -1
    assert info.ring_ofs[0] == -1
    with pytest.raises(IndexError):
        info.ring_ofs[1]


def test_a_struct_inside_a_struct_is_a_view_of_the_same_bytes() -> None:
    option = api14.nmreq_opt_extmem.new()
    option.nro_opt.nro_reqtype = api14.NETMAP_REQ_OPT_EXTMEM
    option.nro_info.nr_buf_pool_objsize = 4096
    assert api14.nmreq_option(option.mem).nro_reqtype == 1
    assert struct.unpack_from("<I", option.tobytes(), 32 + 60) == (4096,)
    eventfds = api14.nmreq_opt_sync_kloop_eventfds.new(extra=16)
    eventfds.eventfds[1].irqfd = -1
    assert eventfds.mem.read(24 + 8 + 4, 4) == b"\xff\xff\xff\xff"


def test_the_name_of_a_field_never_hides_the_view() -> None:
    desc = api14.nm_desc.new()
    desc.mem_ = 0x1000
    assert desc.mem.read(16, 8) == (0x1000).to_bytes(8, "little")


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (8, 1), (0, 9), (4, -1), (7, 2)])
def test_a_buffer_refuses_bytes_outside_it(offset: int, length: int) -> None:
    buffer = Buffer(bytearray(8))
    with pytest.raises(IndexError):
        buffer.read(offset, length)
    if length > 0:
        with pytest.raises(IndexError):
            buffer.write(offset, bytes(length))


def test_fields_are_listed_by_name_in_layout_order() -> None:
    slot = api14.netmap_slot.new()
    slot.len = 60
    assert slot.fields() == {"buf_idx": 0, "len": 60, "flags": 0, "ptr": 0}
    names: list[Any] = list(api14.netmap_ring.new().fields())
    assert names[:3] == ["buf_ofs", "num_slots", "nr_buf_size"]
