"""Chapter *legacy*: struct nmreq there and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from netmap_reference.gen14 import header, legacy, readings
from netmap_reference.gen14.legacy import Binding, binding, check_version, command
from netmap_reference.gen14.world import PortConfig
from netmap_spec.abi import accepted, api14


def test_one_version_by_contract_all_from_14_as_written() -> None:
    """14.legacy.version (recording legacy_api)"""
    versions = (0, 3, 11, 13, 14, 15, 99, 2**32 - 1)
    assert [v for v in versions if check_version(v).outcome.ok] == [14]
    assert [v for v in versions if check_version(v, legacy.AS_WRITTEN).outcome.ok] == [14, 15, 99, 2**32 - 1]


@pytest.mark.parametrize(
    ("ringid", "flags", "bound"),
    [
        (0, 0, Binding(api14.NR_REG_ALL_NIC, 0, 0)),
        (5, 0, Binding(api14.NR_REG_ALL_NIC, 5, 0)),
        (api14.NETMAP_SW_RING | 1, 0, Binding(api14.NR_REG_SW, 1, 0)),
        (api14.NETMAP_HW_RING | 1, 0, Binding(api14.NR_REG_ONE_NIC, 1, 0)),
        (api14.NETMAP_SW_RING | api14.NETMAP_HW_RING, 0, Binding(api14.NR_REG_SW, 0, 0)),
        (api14.NETMAP_SW_RING, api14.NR_REG_ONE_NIC, Binding(api14.NR_REG_ONE_NIC, 0, 0)),
        (api14.NETMAP_NO_TX_POLL, 1, Binding(1, 0, api14.NR_NO_TX_POLL)),
        (api14.NETMAP_DO_RX_POLL, 1, Binding(1, 0, api14.NR_DO_RX_POLL)),
        (7, api14.NR_REG_PIPE_MASTER, Binding(api14.NR_REG_ALL_NIC, 0, 0, "{7")),
        (0xFFFF, api14.NR_REG_PIPE_SLAVE | api14.NR_EXCLUSIVE,
         Binding(1, 0, api14.NR_EXCLUSIVE | api14.NR_NO_TX_POLL | api14.NR_DO_RX_POLL, "}4095")),
    ],
)  # fmt: skip
def test_which_rings(ringid: int, flags: int, bound: Binding) -> None:
    """14.legacy.mode, 14.legacy.pipe, 14.legacy.poll-flags"""
    assert binding(ringid, flags).state == bound


def test_commands() -> None:
    """14.legacy.commands"""
    regif = {cmd: command(False, cmd) for cmd in range(20)}
    assert {cmd: s.state for cmd, s in regif.items() if s.state != "0"} == {
        0: "REGISTER", 1: "VALE_ATTACH", 2: "VALE_DETACH", 5: "PORT_HDR_SET", 6: "VALE_NEWIF",
        7: "VALE_DELIF", 10: "VALE_POLLING_ENABLE", 11: "VALE_POLLING_DISABLE", 12: "PORT_HDR_GET",
    }  # fmt: skip
    assert [(c, s.outcome.detail) for c, s in regif.items() if not s.outcome.ok] == [
        (api14.NETMAP_PT_HOST_CREATE, "ENOMEM"),
        (api14.NETMAP_PT_HOST_DELETE, "ENOMEM"),
    ]
    assert {command(True, cmd).state for cmd in range(20) if cmd != 4} == {"PORT_INFO_GET"}
    assert command(True, 4).state == "VALE_LIST"


def test_attach_and_polling_have_modes_of_their_own() -> None:
    nmr = dict.fromkeys(legacy.FIELDS, 0) | {"nr_flags": api14.NR_REG_SW, "nr_ringid": 3}
    attach = legacy.translate("VALE_ATTACH", nmr, [])
    assert attach["mode"] == api14.NR_REG_ALL_NIC
    attach = legacy.translate("VALE_ATTACH", nmr | {"nr_arg1": api14.NETMAP_BDG_HOST}, [])
    assert attach["mode"] == api14.NR_REG_NIC_SW
    modes = [legacy.translate("VALE_POLLING_ENABLE", nmr | {"nr_flags": f}, [])["mode"] for f in (1, 4, 2)]
    assert modes == [1, 2, 0]


def test_the_same_port_as_a_register_finds(bench: Callable[..., Any]) -> None:
    """recording legacy_api"""
    b = bench(PortConfig("v0", tx_rings=2))
    b.world.open("A")
    asked = b.world.legacy("A", "GINFO", {"name": "v0"}, b.choose).out
    assert (asked["nr_tx_rings"], asked["nr_rx_rings"], asked["nr_arg2"]) == (2, 1, 1)
    out = b.world.legacy("A", "REGIF", {"name": "x", "flags": 5, "ringid": 9, "arg3": 4}, b.choose).out
    assert (out["nr_arg2"], out["nr_arg3"], out["nr_ringid"], out["nr_flags"]) == (2, 4, 9, 5)
    assert b.world.system().files[0].adapter == "x{9"
    failed = b.world.legacy("A", "REGIF", {"name": "v0", "tx_slots": 7}, b.choose)
    assert (failed.outcome.detail, failed.out["nr_tx_slots"]) == ("EBUSY", 7)


@pytest.mark.parametrize(("switches", "told"), [(readings.CONTRACT, 14), (readings.AS_WRITTEN, 12)])
def test_the_version_that_comes_back(bench: Callable[..., Any], switches: frozenset[str], told: int) -> None:
    """Deviation 14.legacy-version-kept (recording legacy_api)"""
    b = bench(switches=switches)
    b.world.open("A")
    result = b.world.legacy("A", "REGIF", {"name": "x{1", "version": 12}, b.choose)
    assert (result.outcome.detail, result.out["nr_version"]) == ("EINVAL", told)


def test_what_is_wrong_with_the_words(bench: Callable[..., Any]) -> None:
    b = bench()
    b.world.open("A")
    with pytest.raises(ValueError, match="struct nmreq has no field 'colour'"):
        b.world.legacy("A", "REGIF", {"name": "x{1", "colour": 1}, b.choose)
    with pytest.raises(ValueError, match="neither REGIF nor GINFO"):
        b.world.legacy("A", "UNREGIF", {}, b.choose)
    assert b.world.legacy("B", "REGIF", {}, b.choose).outcome.detail == "EBADF"


def test_nioconfig_is_for_other_modules(bench: Callable[..., Any]) -> None:
    """14.legacy.config"""
    b = bench()
    b.world.open("A")
    assert b.world.ioctl("A", api14.IOCTLS["linux"]["NIOCCONFIG"]).outcome.detail == "EINVAL"


def test_the_versions_taken_are_those_of_the_table() -> None:
    """14.legacy.version, 14.control.header: the model beside what was read of every kernel"""
    for number in range(20):
        written = legacy.check_version(number, frozenset({legacy.VERSION_UNBOUNDED})).outcome.ok
        assert written == accepted.takes("14", "nmreq", number), number
        assert legacy.check_version(number).outcome.ok == (number == 14)
        assert header.check_header(number, 0).outcome.ok == accepted.takes("14", "NIOCCTRL", number), number
