"""The measured tables hold together: what they say of sizes, offsets and codes follows from itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from netmap_spec import abi
from netmap_spec.abi import emit_c
from netmap_spec.abi.measured import Layout, Struct

LAYOUTS = [f"{version}@{target}" for version in abi.tables() for target in abi.TARGETS]


def structs(name: str) -> list[Struct]:
    return list(abi.layout(name).structs.values())


def misplaced(struct: Struct) -> list[str]:
    """Members that do not begin at 0, overlap the one before, come before it, or end outside."""
    members = [f for f in struct.fields if not f.inner]
    found = [f.name for f in members[:1] if f.offset != 0]
    found += [after.name for before, after in pairwise(members) if before.offset + before.size > after.offset]
    found += [f.name for f in members[-1:] if f.offset + f.size > struct.size]
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_members_do_not_overlap_and_lie_inside(name: str) -> None:
    for struct in structs(name):
        assert misplaced(struct) == [], struct.name


def test_a_misplaced_member_is_noticed() -> None:
    """The control: each member of a slot moved by one byte, either way."""
    slot = abi.layout("14").structs["netmap_slot"]
    for i, f in enumerate(slot.fields):
        for by in (-1, 1):
            moved = replace(f, offset=f.offset + by)
            assert misplaced(replace(slot, fields=(*slot.fields[:i], moved, *slot.fields[i + 1 :]))), (
                f.name,
                by,
            )


@pytest.mark.parametrize("name", LAYOUTS)
def test_sizes_are_whole_alignments_and_padding_is_smaller_than_one(name: str) -> None:
    """A compiler pads a struct to its alignment, and no member further than the strictest alignment."""
    for struct in structs(name):
        assert struct.size % struct.align == 0, struct.name
        members = [f for f in struct.fields if not f.inner]
        ends = [f.offset + f.size for f in members]
        for end, after in zip(ends, members[1:], strict=False):
            assert after.offset - end < struct.align, f"{struct.name}.{after.name}"
        assert struct.size - ends[-1] < struct.align, struct.name


@pytest.mark.parametrize("name", LAYOUTS)
def test_arrays_are_as_long_as_their_elements(name: str) -> None:
    for struct in structs(name):
        for f in struct.fields:
            if f.array:
                assert f.size == f.count * f.elem_size, f"{struct.name}.{f.name}"
            else:
                assert f.count == 1 and f.size > 0, f"{struct.name}.{f.name}"


#: Bytes of the types whose size is the same on every target.
SIZES = {
    "char": 1, "uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "int32_t": 4, "int": 4, "u_int": 4,
    "uint64_t": 8, "int64_t": 8,
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_members_have_the_size_of_their_type(name: str) -> None:
    layout = abi.layout(name)
    word = 4 if layout.target in ("linux-i386", "linux-i386-time64", "freebsd-i386", "freebsd-armv7") else 8
    for struct in layout.structs.values():
        for f in struct.fields:
            element = f.elem_size if f.array else f.size
            if f.bare in SIZES:
                assert element == SIZES[f.bare], f"{struct.name}.{f.name}"
            elif f.bare.endswith("*") or f.bare in ("size_t", "ssize_t"):
                assert element == word, f"{struct.name}.{f.name}"
            elif f.bare == "struct timeval":
                assert element in (8, 16), f"{struct.name}.{f.name}"
            elif (inner := f.bare.removeprefix("struct ")) in layout.structs:
                assert element == layout.structs[inner].size, f"{struct.name}.{f.name}"
                assert f.offset % layout.structs[inner].align == 0, f"{struct.name}.{f.name}"


@pytest.mark.parametrize("name", LAYOUTS)
def test_members_of_unnamed_structs_lie_inside_them(name: str) -> None:
    for struct in structs(name):
        for f in struct.fields:
            if f.inner:
                outer = struct.field(f.name.split(".")[0].split("[")[0])
                assert outer.offset <= f.offset
                assert f.offset + f.size <= outer.offset + outer.elem_size


# --- ioctl codes ------------------------------------------------------------------------------

IOC_LINUX = {"none": 0, "read-write": 3}
IOC_FREEBSD = {"none": 0x2000_0000, "read-write": 0xC000_0000}

#: The struct each request carries, and where that was another one.
CARRIES = {"NIOCGINFO": "nmreq", "NIOCREGIF": "nmreq", "NIOCCONFIG": "nm_ifreq", "NIOCCTRL": "nmreq_header"}
CARRIED_ONCE = {("api12-branch-2018-01", "NIOCCTRL"): "nmreq_register"}


def decode(system: str, code: int) -> tuple[str, int, str, int]:
    """(direction, size in bytes, group, number) of an ioctl code."""
    if system == "linux":  # 2 bits direction, 14 size, 8 group, 8 number
        directions, direction, size = IOC_LINUX, code >> 30, code >> 16 & 0x3FFF
    else:  # 3 bits direction, 13 size, 8 group, 8 number
        directions, direction, size = IOC_FREEBSD, code & 0xE000_0000, code >> 16 & 0x1FFF
    names = {number: name for name, number in directions.items()}
    return names[direction], size, chr(code >> 8 & 0xFF), code & 0xFF


def codes(layout: Layout) -> list[tuple[str, str, int]]:
    return [(system, name, code) for system, table in layout.ioctls.items() for name, code in table.items()]


@pytest.mark.parametrize("name", LAYOUTS)
def test_ioctl_codes_follow_from_the_struct_they_carry(name: str) -> None:
    layout = abi.layout(name)
    here = layout.target.split("-")[0]
    for system, request, code in codes(layout):
        if system != here:
            continue  # codes of the other system are those of its own targets
        direction, size, group, _ = decode(system, code)
        assert group == "i", request
        carried = CARRIED_ONCE.get((layout.version, request), CARRIES.get(request))
        if carried:
            assert (direction, size) == ("read-write", layout.structs[carried].size), request
        else:
            assert (direction, size) == ("none", 0), request


@pytest.mark.parametrize("name", LAYOUTS)
def test_both_systems_number_a_request_alike(name: str) -> None:
    layout = abi.layout(name)
    linux, freebsd = ({n: c & 0xFFFF for n, c in layout.ioctls[s].items()} for s in ("linux", "freebsd"))
    assert linux == freebsd
    assert len(set(linux.values())) == len(linux)


def test_the_c_headers_name_the_right_argument() -> None:
    for version in abi.tables():
        layout = abi.layout(version)
        for system, request, code in codes(layout):
            _, size, _, _ = decode(system, code)
            carried = emit_c.argument(layout, request)
            assert size == (layout.structs[carried].size if carried else 0), (version, request)


# --- the loader -------------------------------------------------------------------------------


def test_a_target_without_differences_has_the_main_layout() -> None:
    main, other = abi.layout("14"), abi.layout("14", "freebsd-aarch64")
    assert (main.structs, main.constants) == (other.structs, other.constants)
    assert (main.target, other.target) == ("linux-x86_64", "freebsd-aarch64")


def test_a_target_with_differences_has_its_own() -> None:
    wide, narrow = abi.layout("14"), abi.layout("14@freebsd-i386")
    assert wide.structs["netmap_if"].field("ring_ofs").elem_size == 8
    assert narrow.structs["netmap_if"].field("ring_ofs").elem_size == 4
    assert wide.structs["nmreq"] == narrow.structs["nmreq"]
    assert "IFCAP_NETMAP" in abi.layout("2011").constants
    assert "IFCAP_NETMAP" not in abi.layout("2011@freebsd-x86_64").constants
    assert abi.layout("api12-branch-2018-01@linux-i386").ioctls["linux"]["NIOCCTRL"] == 0xC0786997


@pytest.mark.parametrize("name", ["15", "14@vax", "", "api14"])
def test_a_version_nobody_measured_is_one_clear_line(name: str) -> None:
    with pytest.raises(abi.AbiError) as error:
        abi.layout(name)
    assert "known: " in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("version", list(abi.tables()))
def test_nothing_differs_from_itself(version: str) -> None:
    assert abi.compare(version, version) == []


def test_comparing_names_every_member_that_moved_came_or_went() -> None:
    found = {d.name: d for d in abi.compare("api3-2012", "14")}
    assert (found["netmap_slot"].left, found["netmap_slot"].right) == (
        "8 bytes, aligned to 4",
        "16 bytes, aligned to 8",
    )
    assert found["netmap_slot.ptr"].left == ""
    assert found["netmap_ring.avail"].right == ""
    assert found["netmap_ring.cur"].left.endswith("at 16, 4 bytes")
    assert found["netmap_ring.cur"].right.endswith("at 24, 4 bytes")
    assert found["NETMAP_API"] == abi.Difference("constant", "NETMAP_API", "0x3", "0xe")
    assert str(found["nmreq_header"]) == "struct nmreq_header: absent -> 88 bytes, aligned to 8"
    assert "NIOCCTRL (linux)" in found and "NIOCCTRL (freebsd)" in found
    assert "netmap_slot.buf_idx" not in found


def test_comparing_is_symmetric() -> None:
    there, back = abi.compare("2011", "14@freebsd-i386"), abi.compare("14@freebsd-i386", "2011")
    assert {(d.kind, d.name, d.left, d.right) for d in there} == {
        (d.kind, d.name, d.right, d.left) for d in back
    }
    assert len({(d.kind, d.name) for d in there}) == len(there)


def test_freebsd_and_upstream_agree_on_generation_14() -> None:
    assert abi.compare("14@freebsd-x86_64", "api14-freebsd-zig0.17@freebsd-x86_64") == []
