"""Which operations can be made in a state, and which of them well-behaved users would make."""

from __future__ import annotations

from typing import Any

from netmap_spec.invariants import steps

from ...gen2011.operations import STORES
from ...gen2011.world import World
from ..subject import Unit


def exists(world: World, op: str, args: dict[str, Any]) -> bool:
    """Are the descriptor, the interface, the ring and the slot there that the operation names?"""
    if "fd" in args and args["fd"] not in world.fds:
        return False
    name = args.get("ifname", args.get("name") if op in ("attach", "detach") else None)
    if name is None:
        return True
    if name not in world.ifs:
        return False
    iface = world.ifs[name]
    if op in STORES:
        ring = f"{'tx' if args['tx'] else 'rx'}{args['ring']}"
        if ring not in iface.ring_at or iface.na is None:
            return False
        return bool(args.get("slot", 0) < iface.krings[ring].n)
    if op == "attach":
        return iface.capable and (iface.dying or iface.na is None)
    if op == "detach":
        return iface.refcount > 0 or not iface.enabled
    if op == "netmap_reset" and not args["tx"]:  # a driver resets a receive ring where it looks next
        return not iface.enabled or iface.rx[args["n"]].check == args["new_cur"]
    return not (op == "host_in" and args.get("force") and iface.na is None)


def possible(world: World, unit: Unit, honest: bool) -> bool:
    """Can the unit be made now? ``honest``: and would its users make it?"""
    if not all(exists(world, op, args) for op, args in unit):
        return False
    if not honest:
        return True
    stores = [args for op, args in unit if op == "slot_set" and "buf_idx" in args["set"]]
    if not stores:
        return all(_mapped(world, op, args) for op, args in unit)
    if len(stores) != 2 or len(unit) != 2:
        return False
    one, other = (_slot(world, args) for args in stores)
    new = [args["set"]["buf_idx"] for args in stores]
    theirs = all(_mapped(world, op, args) and _theirs(world, args) for op, args in unit)
    return theirs and new == [other, one] and one != other


def _mapped(world: World, op: str, args: dict[str, Any]) -> bool:
    """Honest users store only into rings that are theirs."""
    return op not in STORES or world.ifs[args["ifname"]].refcount > 0


def _theirs(world: World, args: dict[str, Any]) -> bool:
    """Is this slot the application's, going by the kernel's positions? The NIC has the others."""
    k = world.ifs[args["ifname"]].krings[f"{'tx' if args['tx'] else 'rx'}{args['ring']}"]
    return steps(k.n, k.hwcur, args["slot"]) < k.hwavail


def _slot(world: World, args: dict[str, Any]) -> int:
    ring = f"{'tx' if args['tx'] else 'rx'}{args['ring']}"
    return int(world.slot(world.ifs[args["ifname"]], ring, args["slot"]).buf_idx)
