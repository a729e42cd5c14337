"""NIOCCTRL and friends: what is wrong in a request is an errno, never a crash, and leaves nothing behind."""

from __future__ import annotations

import errno
import select

import pytest
from netmap_native import Binding, Device
from netmap_native.application import CODES, control, header, register
from netmap_spec.abi import Buffer, api14

REGISTER = api14.NETMAP_REQ_REGISTER


@pytest.fixture
def fd(device: Device) -> int:
    number, code = device.open()
    assert code == 0
    return number


@pytest.mark.parametrize(
    ("name", "fields", "want"),
    [
        ("nosuch0", {}, errno.ENXIO),
        ("x{", {}, errno.EINVAL),
        ("{1", {}, errno.EINVAL),
        ("x{1", {"mode": api14.NR_REG_SW}, errno.EINVAL),
        ("x{1", {"mode": api14.NR_REG_DEFAULT}, errno.EINVAL),
        ("x{1", {"mode": 99}, errno.EINVAL),
        ("x", {"mode": api14.NR_REG_PIPE_MASTER}, errno.EINVAL),
        ("x{1", {"mode": api14.NR_REG_ONE_NIC, "ringid": 1}, errno.EINVAL),
        ("x{1", {"mem_id": 7}, errno.EINVAL),
        ("netmap:x{1", {}, errno.ENXIO),
        ("abcdefghijklmnopqrst{1", {}, errno.ENXIO),
        ("vale0:a", {}, errno.EOPNOTSUPP),
        ("x{1", {"flags": api14.NR_MONITOR_TX}, errno.EOPNOTSUPP),
        ("nul", {"mode": api14.NR_REG_NULL}, errno.EOPNOTSUPP),
        ("x{1", {"tx_rings": 200, "rx_rings": 200}, errno.ENOMEM),
    ],
)
def test_register_refuses(device: Device, fd: int, name: str, fields: dict[str, int], want: int) -> None:
    before = device.stats()
    code, _ = register(device, fd, name, **fields)
    assert errno.errorcode.get(code) == errno.errorcode[want]
    assert device.stats() == before
    assert register(device, fd, "ok{1")[0] == 0, "the descriptor is as good as new"


@pytest.mark.parametrize("version", [0, 11, 13, 16, 0xFFFF])
def test_other_versions_are_refused(device: Device, fd: int, version: int) -> None:
    body = bytearray(api14.nmreq_register.SIZE)
    assert control(device, fd, header(REGISTER, "x{1", version), body) == errno.EINVAL


@pytest.mark.parametrize("request_type", [0, 16, 999, 0xFFFF])
def test_unknown_requests_are_refused(device: Device, fd: int, request_type: int) -> None:
    assert control(device, fd, header(request_type, "x{1")) == errno.EINVAL


def test_a_body_where_none_belongs_and_none_where_one_does(device: Device, fd: int) -> None:
    assert control(device, fd, header(REGISTER, "x{1")) == errno.EINVAL
    body = bytearray(64)
    assert control(device, fd, header(api14.NETMAP_REQ_SYNC_KLOOP_STOP, "x{1"), body) == errno.EINVAL


def test_reserved_must_be_zero_and_stays_zero(device: Device, fd: int) -> None:
    head, body = header(REGISTER, "nosuch0"), bytearray(api14.nmreq_register.SIZE)
    view = api14.nmreq_header(Buffer(head))
    assert control(device, fd, head, body) != 0
    assert view.nr_reserved == 0, "a retry with the same header must be possible"
    view.nr_reserved = 1
    assert control(device, fd, head, body) == errno.EINVAL


@pytest.mark.parametrize("address", [1, 4096, (1 << 47) - 4096, (1 << 64) - 8])
@pytest.mark.parametrize("what", ["body", "options", "header"])
def test_addresses_that_are_not_there_are_efault(device: Device, fd: int, address: int, what: str) -> None:
    if what == "header":
        assert device.ioctl(fd, CODES["NIOCCTRL"], address) == (-1, errno.EFAULT)
        return
    head, body = header(REGISTER, "x{1"), bytearray(api14.nmreq_register.SIZE)
    api14.nmreq_register(Buffer(body)).nr_mode = api14.NR_REG_ALL_NIC
    head[80:88] = (address if what == "body" else device.address(body)).to_bytes(8, "little")
    if what == "options":
        head[72:80] = address.to_bytes(8, "little")
    assert device.ioctl(fd, CODES["NIOCCTRL"], head) == (-1, errno.EFAULT)


def _options(device: Device, *kinds: tuple[int, int]) -> list[bytearray]:
    """A chain of options of (type, size), each in a buffer of its own."""
    chain = [bytearray(128) for _ in kinds]
    for i, (kind, size) in enumerate(kinds):
        option = api14.nmreq_option(Buffer(chain[i]))
        option.nro_reqtype, option.nro_size = kind, size
        option.nro_next = device.address(chain[i + 1]) if i + 1 < len(chain) else 0
    return chain


def _with_options(device: Device, fd: int, chain: list[bytearray]) -> tuple[int, list[int]]:
    head, body = header(REGISTER, "x{1"), bytearray(api14.nmreq_register.SIZE)
    api14.nmreq_register(Buffer(body)).nr_mode = api14.NR_REG_ALL_NIC
    head[72:80] = device.address(chain[0]).to_bytes(8, "little")
    code = control(device, fd, head, body)
    return code, [api14.nmreq_option(Buffer(c)).nro_status for c in chain]


def test_options_nobody_knows_fail_the_request_and_say_so(device: Device, fd: int) -> None:
    before = device.stats()
    chain = _options(device, (api14.NETMAP_REQ_OPT_OFFSETS, 0), (99, 0))
    assert _with_options(device, fd, chain) == (errno.EOPNOTSUPP, [errno.EOPNOTSUPP] * 2)
    assert device.stats() == before


@pytest.mark.parametrize(
    ("kinds", "code", "statuses"),
    [
        (((0, 0),), errno.EINVAL, [errno.EINVAL]),
        (((5, 0), (5, 0)), errno.EINVAL, [errno.EINVAL, errno.EINVAL]),
        (((2, 5000),), errno.EMSGSIZE, [0]),
    ],
)
def test_options_that_are_wrong(
    device: Device, fd: int, kinds: tuple[tuple[int, int], ...], code: int, statuses: list[int]
) -> None:
    assert _with_options(device, fd, _options(device, *kinds)) == (code, statuses)


def test_a_chain_of_options_that_does_not_end(device: Device, fd: int) -> None:
    chain = _options(device, (99, 0), (98, 0))
    api14.nmreq_option(Buffer(chain[1])).nro_next = device.address(chain[0])
    assert _with_options(device, fd, chain)[0] == errno.EMSGSIZE


def test_what_an_unbound_descriptor_may_do(device: Device, fd: int) -> None:
    assert device.ioctl(fd, CODES["NIOCTXSYNC"]) == (-1, errno.ENXIO)
    assert device.ioctl(fd, CODES["NIOCRXSYNC"]) == (-1, errno.ENXIO)
    assert device.mmap(fd, 4096, 3, 1) == (None, errno.EINVAL)
    assert device.poll(fd, select.POLLIN | select.POLLOUT, 1000) == (1, select.POLLERR, 0)
    assert device.ioctl(fd, 0x1234) == (-1, errno.EOPNOTSUPP)


def test_descriptors_that_are_not_the_devices(device: Device, tmp_path: object) -> None:
    with open("/dev/null", "rb") as other:
        for number in (other.fileno(), 9999, -1):
            assert device.ioctl(number, CODES["NIOCTXSYNC"]) == (-1, errno.EBADF)
            assert device.mmap(number, 4096, 3, 1) == (None, errno.EBADF)
            assert device.close(number) == errno.EBADF


def test_mmap_takes_any_whole_pages_inside(device: Device) -> None:
    a = Binding(device, "x{1", tx_slots=16, rx_slots=16)
    size = a.reg.nr_memsize
    for length, offset, want in (
        (4096, 0, 0),
        (size, 0, 0),
        (4096, size - 4096, 0),
        (size + 4096, 0, errno.EINVAL),
        (8192, size - 4096, errno.EINVAL),
        (4096, 100, errno.EINVAL),
        (4096, 1 << 62, errno.EINVAL),
    ):
        memory, code = device.mmap(a.fd, length, 3, 1, offset)
        assert code == want, (length, offset)
        if memory is not None:
            assert bytes(memory[:8]) == bytes(a.memory[offset : offset + 8])
            assert device.munmap(memory) == 0
    assert device.munmap(object()) == errno.EINVAL


def test_port_info_describes_and_leaves_nothing(device: Device, fd: int) -> None:
    before = device.stats()
    raw = bytearray(api14.nmreq_port_info_get.SIZE)
    body = api14.nmreq_port_info_get(Buffer(raw))
    body.nr_tx_slots = 100
    assert control(device, fd, header(api14.NETMAP_REQ_PORT_INFO_GET, "x{1"), raw) == 0
    assert (body.nr_tx_slots, body.nr_rx_slots, body.nr_tx_rings) == (100, 1024, 1)
    assert device.stats() == before


def test_extra_buffers_are_a_chain_that_ends(device: Device) -> None:
    a = Binding(device, "x{1", tx_slots=16, rx_slots=16, extra_bufs=5)
    at, seen = a.nifp.ni_bufs_head, []
    while at:
        seen.append(at)
        at = int.from_bytes(a.mem.read(a.buffer(a.tx(), at), 4), "little")
    assert len(seen) == a.reg.nr_extra_bufs == 5
    assert seen == sorted(seen, reverse=True)


def test_a_chain_the_application_broke_is_taken_back_as_far_as_it_goes(device: Device) -> None:
    """Loops, buffers of others, indices that are none: nothing is freed twice and the broker lives."""
    keep = Binding(device, "x}1", tx_slots=16, rx_slots=16)
    for head in (1 << 31, 1, 0xFFFFFFFF, "loop"):
        a = Binding(device, "x{1", extra_bufs=3)
        first = a.nifp.ni_bufs_head
        if isinstance(head, int):
            a.nifp.ni_bufs_head = head
        else:
            a.mem.write(a.buffer(a.tx(), first), first.to_bytes(4, "little"))
        a.close()
    assert keep.rxsync() == 0
    assert device.stats()["pipes"] == 1
