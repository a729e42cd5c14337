"""``reference``: the executable model run as a device.

The model decides everything the contract fixes; what it leaves open is decided by a policy (the
manifest's ``choices.policy``: eager, lazy or seeded, see :mod:`.policy`). Time does not pass: a call
that sleeps lets the environment move until it is woken or nothing moves any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

from netmap_reference.core.choice import Choose, eager
from netmap_reference.core.outcome import NotModelled
from netmap_reference.gen14.overlap import Overlap
from netmap_reference.gen14.ports.vale_device import user_address
from netmap_reference.gen14.state import RX, TX
from netmap_reference.gen14.world import PortConfig, Result, World

from ..expressions import ExpressionError
from ..manifest import CAPABILITIES, Manifest
from ..trace import Call, Header, Port, Return, See
from .application import Api14Target
from .base import TargetError
from .mapping import Mapping
from .policy import Policy

#: What reading or writing an eventfd returns, bytes.
EVENT = 8
#: How often the environment may move before a sleeping call counts as left alone.
MOVES = 64
#: Calls that are made while a sync of another thread is held half way; any other lets it go on first.
_OVERTAKING = frozenset({"txsync", "rxsync", "poll", "join", "sleep"})


class ReferenceTarget(Api14Target):
    """The model of generation 14 behind the :class:`~.base.Target` interface."""

    def __init__(self, manifest: Manifest, policy: str = "", seed: int | None = None) -> None:
        self.name = "reference"
        self.manifest = manifest
        self._policy_name = policy or str(manifest.choices.get("policy", "eager"))
        self._seed = seed if seed is not None else int(manifest.choices.get("seed", 0))
        try:
            self._policy = Policy(self._policy_name, self._seed)
        except ValueError as error:
            raise TargetError(f"reference: {error}", status=2) from None
        self._world = World()
        #: The rules that the environment's moves fired: no call tells of them.
        self.moves: Counter[str] = Counter()
        self._mappings: dict[tuple[str, str], Mapping] = {}
        self._processes = {"main"}
        self._sleeping: dict[int, Call] = {}
        self._held: dict[int, tuple[Call, Overlap]] = {}
        self._looping: dict[int, Any] = {}
        self._finished: list[Return] = []
        self._awake: list[tuple[Call, Return]] = []

    def capabilities(self) -> frozenset[str]:
        """Everything: the model is the contract."""
        return frozenset(CAPABILITIES)

    def start(self, header: Header) -> None:
        """A fresh model with the header's ports."""
        if header.generation != "14":
            raise TargetError(f"reference: generation {header.generation} has its own reference target", 2)
        self._policy = Policy(self._policy_name, self._seed)
        self._world = World([port_config(p) for p in header.ports])
        self.moves.clear()
        self._mappings.clear()
        self._processes = {"main"}
        self._sleeping.clear()
        self._held.clear()
        self._looping.clear()
        self._finished.clear()
        self._awake.clear()

    def stop(self) -> None:
        """Nothing outlives the model."""
        self._mappings.clear()

    def _key(self, fd: str, actor: str) -> tuple[str, str]:
        """Threads share the mappings of their process."""
        return (actor if actor in self._processes else "main", fd)

    def mapping(self, fd: str, actor: str = "main") -> Mapping | None:
        return self._mappings.get(self._key(fd, actor))

    def address(self, fd: str, ring: str, index: int) -> int:
        """Where the application of ``fd`` has the buffer of a slot."""
        mapping = self.mapping(fd)
        if mapping is None:
            raise ExpressionError(f"{fd} is not mapped")
        return user_address(self._world.region_id(fd), mapping.buffer(ring, index))

    # --- calls ----------------------------------------------------------------------------------

    def system_call(self, call: Call) -> Return | None:
        """Run one operation of the model."""
        if call.op not in _OVERTAKING:
            self._let_go()
        method = getattr(self, f"sys_{call.op}", None)
        if method is None:
            raise TargetError(f"reference: unknown operation '{call.op}'", status=2)
        try:
            done: Return | None = method(call)
        except NotModelled as missing:
            raise TargetError(f"reference: the model has no rule {missing}", status=2) from None
        self._move(self._policy)
        self._wake()
        return done

    def _process(self, call: Call) -> str:
        """The process of a call's actor."""
        return call.actor if call.actor in self._processes else "main"

    def _done(self, call: Call, result: Any) -> Return:
        done = Return(of=call.n)
        kind = result.outcome.kind
        if kind == "ERRNO":
            done.ret, done.errno = -1, result.outcome.detail
        elif kind == "FAULT":
            done.ret, done.fault = -1, result.outcome.detail
        elif kind == "HANG":
            done.ret, done.hang = -1, True
        if result.out:
            done.out = dict(result.out)
        if result.hdr:
            done.hdr, done.options = dict(result.hdr), [dict(o) for o in result.options]
        return done

    def sys_open(self, call: Call) -> Return:
        self._mappings.pop(self._key(call.fd, call.actor), None)
        return self._done(call, self._world.open(call.fd, self._process(call)))

    def sys_close(self, call: Call) -> Return:
        done = self._done(call, self._world.close(call.fd, self._process(call)))
        self._mappings.pop(self._key(call.fd, call.actor), None)
        return done

    def sys_dup(self, call: Call) -> Return:
        return self._done(call, self._world.dup(call.fd, call.args["to"], self._process(call)))

    def sys_fork(self, call: Call) -> Return:
        parent, child = self._process(call), call.args["actor"]
        self._processes.add(child)
        for (process, fd), old in list(self._mappings.items()):
            if process == parent:
                self._mappings[child, fd] = old.again()
        return self._done(call, self._world.fork(parent, child))

    def sys_exit(self, call: Call) -> Return:
        return self._exit(call, call.args.get("actor", call.actor))

    def sys_register(self, call: Call) -> Return:
        return self._done(call, self._world.register(call.fd, call.args, self._policy, self._process(call)))

    def sys_ctl(self, call: Call) -> Return | None:
        """A request; a caller that lends its thread to a loop sleeps until the loop is stopped."""
        fields = {k: v for k, v in call.args.items() if k != "request"}
        request = call.args["request"]
        result = self._world.ctl(call.fd, request, fields, self._policy, self._process(call))
        if not result.asleep:
            return self._done(call, result)
        if call.actor == "main":  # nobody is left who could stop it
            return Return(of=call.n, ret=-1, hang=True)
        self._sleeping[call.n] = call
        self._looping[call.n] = result
        return None

    # --- CSB mode -------------------------------------------------------------------------------

    def csb(self, fd: str) -> list[dict[str, int]] | None:
        return self._world.csb(fd)

    def sys_csbset(self, call: Call) -> Return:
        words = {k: v for k, v in call.args.items() if k != "index"}
        return self._done(call, self._world.csbset(call.fd, call.args["index"], words, self._process(call)))

    def sys_kick(self, call: Call) -> Return:
        result = self._world.kick(call.fd, call.args["index"], self._policy, self._process(call))
        done = self._done(call, result)
        done.ret = done.ret or EVENT
        return done

    def sys_irq(self, call: Call) -> Return:
        done = self._done(call, self._world.irq(call.fd, call.args["index"], self._process(call)))
        if done.out and done.out["count"]:
            done.ret = EVENT
        return done

    def sys_gsync(self, call: Call) -> Return:
        index, force = call.args["index"], bool(call.args.get("force", 0))
        return self._done(
            call, self._world.guest_sync(call.fd, index, force, self._policy, self._process(call))
        )

    def sys_legacy(self, call: Call) -> Return:
        fields = {k: v for k, v in call.args.items() if k != "request"}
        request = call.args["request"]
        return self._done(
            call, self._world.legacy(call.fd, request, fields, self._policy, self._process(call))
        )

    def sys_parse(self, call: Call) -> Return:
        fields = {k: v for k, v in call.args.items() if k not in ("how", "texts")}
        return self._done(call, self._world.parse(call.args["how"], call.args["texts"], fields, self._policy))

    def sys_mmap(self, call: Call) -> Return:
        args = call.args
        result = self._world.mmap(
            call.fd,
            args.get("length"),
            args.get("offset", 0),
            args.get("prot", "rw"),
            args.get("flags", "shared"),
            self._process(call),
        )
        done = self._done(call, result)
        if result.outcome.ok and args.get("look", True):
            live = Live(self._world, call.fd)
            offset = self._world.nifp(call.fd).off
            self._mappings[self._key(call.fd, call.actor)] = Mapping(live, live.size, offset)
        return done

    def sys_useext(self, call: Call) -> Return:
        """The memory a process brought is its own already: what it sees is what a mapping shows. It is there
        also when no descriptor is bound to it, and then it is nobody's region."""
        try:
            self._world.nifp(call.fd)
        except LookupError:
            return self._done(call, Result())
        return self.sys_mmap(call)

    def sys_munmap(self, call: Call) -> Return:
        done = self._done(call, self._world.munmap(call.fd, self._process(call)))
        if not done.errno:
            self._mappings.pop(self._key(call.fd, call.actor), None)
        return done

    def sys_txsync(self, call: Call) -> Return | None:
        return self._sync(call, TX)

    def sys_rxsync(self, call: Call) -> Return | None:
        return self._sync(call, RX)

    def _sync(self, call: Call, t: str) -> Return | None:
        """A sync; that of a thread is held half way, if it can be, until somebody waits for the thread."""
        if call.actor in self._processes:
            sync = self._world.txsync if t == TX else self._world.rxsync
            return self._done(call, sync(call.fd, self._policy, call.actor))
        begun = self._world.begin_sync(call.fd, t, self._policy, self._process(call))
        if isinstance(begun, Result):
            return self._done(call, begun)
        if begun.result is not None:
            return self._done(call, begun.result)
        self._held[call.n] = (call, begun)
        return None

    def _let_go(self, actor: str = "") -> None:
        """Syncs of threads (of one, if it is named) go on and come back, to be told of as sleepers are."""
        for n, (call, overlap) in list(self._held.items()):
            if actor in ("", call.actor):
                del self._held[n]
                self._awake.append((call, self._done(call, overlap.finish())))

    def sys_read(self, call: Call) -> Return:
        return self._done(call, self._world.read(call.fd, self._process(call)))

    def sys_write(self, call: Call) -> Return:
        return self._done(call, self._world.write(call.fd, self._process(call)))

    def sys_ioctl(self, call: Call) -> Return:
        name = str(call.args.get("name", ""))
        return self._done(call, self._world.ioctl(call.fd, call.args["code"], self._process(call), name))

    def sys_sysctl(self, call: Call) -> Return:
        return self._done(call, self._world.sysctl(call.args["name"], call.args["value"]))

    def sys_param(self, call: Call) -> Return:
        """A parameter is stored when a value is given, and read."""
        name, result = call.args["name"], Result()
        if "value" in call.args:
            try:
                result = self._world.sysctl(name, int(str(call.args["value"]), 0))
            except ValueError:
                raise TargetError(f"reference: {call.args['value']} is not a number", status=2) from None
        return self._done(call, self._world.read_parameter(name) if result.outcome.ok else result)

    def sys_module(self, call: Call) -> Return:
        """Another module of the kernel calls netmap."""
        fields = {k: v for k, v in call.args.items() if k not in ("action", "name")}
        try:
            done = self._world.module(call.args["action"], call.args["name"], fields, self._policy)
        except ValueError as error:
            raise TargetError(f"reference: {error}", status=2) from None
        return self._done(call, done)

    def sys_fail(self, call: Call) -> Return:
        """Only arms the failure: it happens in the next request, open or mmap."""
        try:
            return self._done(call, self._world.fail(call.args["point"], call.args["passes"]))
        except ValueError as error:
            raise TargetError(f"reference: {error}", status=2) from None

    # --- waiting --------------------------------------------------------------------------------

    def sys_poll(self, call: Call) -> Return | None:
        """Scan once; a caller of the main actor then waits for the environment, another one sleeps."""
        done = self._scan(call)
        if done is not None:
            return done
        if call.actor != "main" and call.args.get("timeout_ms", 0) != 0:
            self._sleeping[call.n] = call
            return None
        return self._wait(call)

    def sys_epset(self, call: Call) -> Return:
        events, edge = frozenset(call.args.get("events", ())), bool(call.args.get("edge", 0))
        return self._done(call, self._world.epset(call.fd, events, edge, self._policy, self._process(call)))

    def sys_epwait(self, call: Call) -> Return:
        result = self._world.epwait(call.fd, self._policy, self._process(call))
        done = self._done(call, result)
        if result.outcome.ok:
            done.ret, done.revents = int(bool(result.revents)), sorted(result.revents)
        return done

    def _scan(self, call: Call) -> Return | None:
        result = self._world.poll(
            call.fd,
            frozenset(call.args.get("events", ())),
            self._policy,
            self._process(call),
            str(call.args.get("how", "")),
        )
        if result.asleep:
            return None
        done = self._done(call, result)
        done.revents = sorted(result.revents)
        done.ret = done.ret or int(bool(result.revents))
        return done

    def _wait(self, call: Call) -> Return:
        """Let the environment move until the caller is woken and ready, or nothing moves any more."""
        timeout = call.args.get("timeout_ms", 0)
        for _ in range(MOVES if timeout else 0):
            moved = self._move(eager)
            if call.fd in self._world.woken():
                done = self._scan(call)
                if done is not None:
                    return done
            elif not moved:
                break
        if timeout < 0:
            return Return(of=call.n, ret=-1, hang=True)
        return Return(of=call.n, ret=0, revents=[])

    def _wake(self) -> None:
        """Sleepers whose selinfo was woken scan again; those whose loop was stopped come back."""
        woken = self._world.woken()
        for n, call in list(self._sleeping.items()):
            if n in self._looping:
                if self._world.start_returns(call.fd, self._process(call)) is not None:
                    self._come_back(n, self._done(call, self._looping.pop(n)))
            elif call.fd in woken:
                done = self._scan(call)
                if done is not None:
                    self._come_back(n, done)

    def _come_back(self, n: int, done: Return) -> None:
        """A sleeper returns. It looks when it is its turn, behind the call that let it go."""
        self._awake.append((self._sleeping.pop(n), done))

    def sys_join(self, call: Call) -> Return:
        """Wait for an actor: its sleeping calls come back, by an event or by their timeout."""
        actor = call.args["actor"]
        self._let_go(actor)
        for n, sleeper in list(self._sleeping.items()):
            if n in self._looping and sleeper.actor == actor:
                return Return(of=call.n, ret=-1, hang=True)  # nobody has stopped the loop
            if sleeper.actor == actor:
                self._come_back(n, self._wait(sleeper))
        return Return(of=call.n)

    def sys_kill(self, call: Call) -> Return:
        """An actor's process dies; what it slept in never returns."""
        return self._exit(call, call.args["actor"])

    def _exit(self, call: Call, actor: str) -> Return:
        for n, sleeper in list(self._sleeping.items()):
            if sleeper.actor == actor:
                del self._sleeping[n]
        for key in [k for k in self._mappings if k[0] == actor]:
            del self._mappings[key]
        self._processes.discard(actor)
        return self._done(call, self._world.exit(actor))

    def finished(self) -> list[Return]:
        done, self._finished = self._finished, []
        for call, late in self._awake:
            self.observe(call, late)
            done.append(late)
        self._awake.clear()
        return done

    # --- the environment ------------------------------------------------------------------------

    def _move(self, choose: Choose) -> bool:
        """The environment moves on its own; did anything?"""
        fired = self._world.tau(choose).fired
        self.moves.update(fired)
        return bool(fired)

    def sys_frame(self, call: Call) -> Return:
        args = call.args
        data = bytes.fromhex(args["hex"])
        return self._done(call, self._world.frame(args["port"], args["side"], data, self._policy))

    def sys_frames(self, call: Call) -> Return:
        seen = self._world.frames(call.args["port"], call.args["side"])
        return Return(of=call.n, see=See(frames=[data.hex() for data in seen]))

    def sys_link(self, call: Call) -> Return:
        return self._port(call, lambda port: self._world.link(port, bool(call.args["up"]), self._policy))

    def sys_reset(self, call: Call) -> Return:
        return self._port(call, lambda port: self._world.reset(port, self._policy))

    def sys_detach(self, call: Call) -> Return:
        return self._port(call, lambda port: self._world.detach(port, self._policy))

    def sys_attach(self, call: Call) -> Return:
        return self._port(call, lambda port: self._world.attach(port, self._policy))

    def sys_resize(self, call: Call) -> Return:
        fields = {k: v for k, v in call.args.items() if k != "port"}
        return self._port(call, lambda port: self._world.resize(port, fields, self._policy))

    def sys_unload(self, call: Call) -> Return:
        return self._done(call, self._world.unload())

    def _port(self, call: Call, act: Callable[[str], Any]) -> Return:
        """Something happens to a port of the machine."""
        try:
            return self._done(call, act(str(call.args["port"])))
        except LookupError as error:
            raise TargetError(f"reference: {error}", status=2) from None

    def sys_settle(self, call: Call) -> Return:
        """The runner has driven the environment; nothing is left to do here."""
        return Return(of=call.n)

    def quiet(self) -> bool:
        """Would an eager environment, and a sync of every descriptor, show nobody anything new?

        A process that sleeps syncs nothing, unlike one of whose threads another sleeps; and while the
        environment can still wake one it is not at rest.
        """
        sleepers = ((self._process(call), call.fd) for call in self._sleeping.values())
        asleep = {(process, fd) for process, fd in sleepers if process != "main"}
        world = self._world.clone()
        before = self._visible(world)
        world.tau(eager)
        if any(fd in world.woken() for _, fd in asleep):
            return False
        for process, fd in self._mappings.keys() - asleep:
            world.txsync(fd, eager, process)
            world.rxsync(fd, eager, process)
        return self._visible(world) == before

    def _visible(self, world: World) -> list[Hashable]:
        """The bytes that applications map."""
        return [world.region(fd).key() for _, fd in self._mappings]


class Live:
    """The bytes behind a descriptor. A request that fails puts the model's region back to a copy of
    itself, so the region is looked up at every access."""

    def __init__(self, world: World, fd: str) -> None:
        self._world = world
        self._fd = fd
        self.size = world.region(fd).size

    def read(self, offset: int, length: int, /) -> bytes:
        return self._world.region(self._fd).read(offset, length)

    def write(self, offset: int, data: bytes, /) -> None:
        self._world.region(self._fd).write(offset, data)


def port_config(port: Port) -> PortConfig:
    """The model's description of a trace's port."""
    return PortConfig(**{name: getattr(port, name) for name in Port.__struct_fields__})
