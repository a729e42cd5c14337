"""Generation 14: smallest traces of requests and regions whose promise a finding breaks (:mod:`..traces`).

What comes after a lack of memory, after a request that failed half way, and what the old interface tells.
"""

from __future__ import annotations

from netmap_reference.core.choice import eager
from netmap_reference.gen14 import kloop, legacy, loops, opening, regions, requests, switch_requests
from netmap_reference.gen14.memory import external
from netmap_reference.gen14.ports import attach_steps, nic_get, pipe_ends, vale_ports
from netmap_reference.gen14.world import World

from ..traces import OTHERS, Goals, ask, bind, faults, good, promise, register

_CSB = [{"type": "CSB", "entries": 2}]
_EVENTFDS = [{"type": "SYNC_KLOOP_EVENTFDS", "entries": 2, "size": 40}]


# --- memory that is not there -----------------------------------------------------------------------------


def no_descriptor(w: World) -> Goals:
    w.fail("open.descriptor")
    opened = w.open("A")
    first = register(w, "A", name="v0")
    after = bind(w, "B", name="v0")
    yield OTHERS, good(after)
    yield (
        "an open without memory fails, and nothing is taken for its descriptor",
        opened.outcome.detail == "ENOMEM" and first.outcome.detail == "EBADF",
    )


promise(
    "14.failure.no-descriptor", ("14.failure.errno",), no_descriptor, opening.HIDES_SHORTAGE, "F14-023",
    "an open without memory fails, and nothing is taken for its descriptor",
    "An open that gets no memory fails with ENOMEM; a call on what is no descriptor ends with EBADF.",
    "it succeeds, and the next call follows what stands in the descriptor's place",
)  # fmt: skip


def shortage(w: World) -> Goals:
    w.open("A")
    w.fail("memory.lut")
    short = register(w, "A", name="v0")
    again = register(w, "A", name="v0")
    other = bind(w, "B", name="x{1", tx_slots=8, rx_slots=8)
    yield OTHERS, short.outcome.detail == "ENOMEM" and good(other)
    yield "a region that got no memory is there when there is some again", good(again)


promise(
    "14.memory.after-shortage", ("14.memory.finalized",), shortage, regions.FAULTS_AFTER, "F14-016",
    "a region that got no memory is there when there is some again",
    "A REGISTER that fails for want of memory leaves the region to the next one, which succeeds.",
    "the next one stores into a bitmap that is not there",
)  # fmt: skip


_BROUGHT = {
    "type": "EXTMEM", "usrptr": 4096, "nr_memsize": 1 << 20, "nr_ring_pool_objsize": 12288,
    "nr_ring_pool_objtotal": 8, "nr_buf_pool_objtotal": 40,
}  # fmt: skip


def brought_again(w: World) -> Goals:
    asked = {"tx_slots": 8, "rx_slots": 8}
    first = bind(w, "A", name="x{1", options=[_BROUGHT], **asked)
    w.open("B")
    w.fail("extmem.lut", 1)
    failed = register(w, "B", name="y{1", options=[_BROUGHT | {"usrptr": 8192}], **asked)
    second = bind(w, "C", name="z{1", options=[_BROUGHT], **asked)
    yield OTHERS, good(first, second) and failed.outcome.detail == "ENOMEM"
    yield (
        "memory that is brought again is the region it was",
        second.out["nr_mem_id"] == first.out["nr_mem_id"],
    )


promise(
    "14.extmem.known-again", ("14.extmem.same",), brought_again, external.LIST_LOST, "F14-021",
    "memory that is brought again is the region it was",
    "Memory of which a region exists is that region when it is brought again, whatever failed meanwhile.",
    "it becomes a second region, which gives out the same bytes",
)  # fmt: skip


def no_poll_entries(w: World) -> Goals:
    made = bind(w, "A", name="x{1", tx_slots=8, rx_slots=8, flags="NR_EXCLUSIVE", options=_CSB)
    w.fail("kloop.poll")
    failed = ask(w, "A", "SYNC_KLOOP_START", sleep_us=100, options=_EVENTFDS)
    stopped = ask(w, "A", "SYNC_KLOOP_STOP")
    yield OTHERS, good(made)
    yield (
        "a loop that gets no memory for what it waits with is not begun",
        failed.outcome.detail == "ENOMEM" and good(stopped),
    )


def no_detach(w: World) -> Goals:
    w.open("A")
    made = ask(w, "A", "VALE_ATTACH", name="vale0:v0")
    w.fail("legacy.body")
    failed = w.legacy("A", "REGIF", {"name": "vale0:v0", "cmd": 2}, eager)
    done = w.legacy("A", "REGIF", {"name": "vale0:v0", "cmd": 2}, eager)
    yield OTHERS, good(made)
    yield (
        "a detach that gets no memory for its request fails",
        failed.outcome.detail == "ENOMEM" and good(done),
    )


promise(
    "14.kloop.no-poll-entries", ("14.failure.errno",), no_poll_entries, loops.POLL_UNCHECKED, "F14-053",
    "a loop that gets no memory for what it waits with is not begun",
    "SYNC_KLOOP_START without memory for what the loop waits with ends with ENOMEM, and no loop runs.",
    "the kernel stores behind a null pointer",
)  # fmt: skip

promise(
    "14.legacy.no-detach", ("14.failure.errno", "14.legacy.commands"), no_detach, requests.DETACH_UNCHECKED,
    "F14-053",
    "a detach that gets no memory for its request fails",
    "The old interface to VALE_DETACH without memory for the request fails, and the next one detaches.",
    "the kernel stores behind a null pointer",
)  # fmt: skip


# --- rings, ends and threads --------------------------------------------------------------------------------


def second_end(w: World) -> Goals:
    first = bind(w, "A", name="p0")
    second = bind(w, "B", name="p1", host_tx_rings=3, host_rx_rings=2)
    after = bind(w, "C", name="v0")
    yield OTHERS, good(first, after)
    yield (
        "the second end gets the host rings that were made",
        good(second) and second.out["nr_host_tx_rings"] == 1,
    )


promise(
    "14.host.second-end", ("14.host.counts",), second_end, nic_get.HOST_RINGS_OVERRUN, "F14-010",
    "the second end gets the host rings that were made",
    "The second end of a pair whose rings were made with the first has as many host rings as were made.",
    "the kernel walks past its array of rings",
)  # fmt: skip


def nested(w: World) -> Goals:
    below = bind(w, "A", name="x}1{2", tx_slots=8, rx_slots=8)
    above = bind(w, "B", name="x{1")
    other = bind(w, "C", name="x}1")
    w.close("A")
    w.close("B")
    again = bind(w, "D", name="x{1")
    yield OTHERS, good(below)
    yield "each end of a pipe with a pipe below it can be bound, first or again", good(above, other, again)


promise(
    "14.pipe.nested-ends", ("14.pipe.nested",), nested, pipe_ends.NO_KRINGS, "F14-041",
    "each end of a pipe with a pipe below it can be bound, first or again",
    "While something is bound below one end of a pipe, either end of it can be bound, first or again.",
    "the end that does not keep the other one has no krings",
)  # fmt: skip


def threads(w: World) -> Goals:
    w.open("A")
    made = ask(w, "A", "VALE_ATTACH", name="vale0:v0")
    w.fail("polling.start", 1)
    failed = ask(w, "A", "VALE_POLLING_ENABLE", name="vale0:v0", mode=2, num_polling_cpus=2)
    again = ask(w, "A", "VALE_POLLING_ENABLE", name="vale0:v0", mode=2, num_polling_cpus=2)
    yield OTHERS, good(made)
    yield "threads that cannot all be started are stopped", failed.outcome.detail == "ENOMEM" and good(again)


promise(
    "14.failure.threads-stop", ("14.failure.undone",), threads, attach_steps.THREADS_RUN_ON, "F14-052",
    "threads that cannot all be started are stopped",
    "When the second of two polling threads cannot be started the request fails, and the first one stops.",
    "it goes on with memory that was freed",
)  # fmt: skip


def wrapping(w: World) -> Goals:
    w.open("A")
    made = [ask(w, "A", "VALE_ATTACH", name="vale0:v0")]
    asked = {"name": "vale0:v0", "mode": 2, "num_polling_cpus": 2}
    wraps = ask(w, "A", "VALE_POLLING_ENABLE", first_cpu_id=2**32 - 2, **asked)
    made.append(ask(w, "A", "VALE_POLLING_ENABLE", first_cpu_id=0, **asked))
    yield OTHERS, good(*made)
    yield "rings beyond the last one are not polled", wraps.outcome.detail == "EINVAL"


promise(
    "14.bwrap.no-such-rings", ("14.bwrap.polling",), wrapping, switch_requests.POLLS_NO_RING, "F14-072",
    "rings beyond the last one are not polled",
    "Polling of rings that the interface does not have is EINVAL, whatever their numbers add up to.",
    "a sum that wraps passes, and a thread notifies what is no ring",
)  # fmt: skip


def host_named(w: World) -> Goals:
    w.open("A")
    made = ask(w, "A", "VALE_ATTACH", name="vale0:v0", mode="NIC_SW")
    named = ask(w, "A", "PORT_INFO_GET", name="vale0:v0^")
    listed = ask(w, "A", "VALE_LIST", name="vale0:v0^")
    off = ask(w, "A", "VALE_DETACH", name="vale0:v0")
    yield OTHERS, good(made)
    yield (
        "a request that names the host stack's port leaves it on the switch",
        not faults(named) and good(listed, off),
    )


promise(
    "14.bwrap.host-named", ("14.bwrap.host",), host_named, vale_ports.HOST_FREED, "F14-069",
    "a request that names the host stack's port leaves it on the switch",
    "The host stack's port of a switch stays there, whoever names it, until its interface is detached.",
    "the reference of who named it was the last",
)  # fmt: skip


def no_eventfds(w: World) -> Goals:
    made = bind(w, "A", name="x{1", tx_slots=8, rx_slots=8, flags="NR_EXCLUSIVE", options=_CSB)
    started = ask(w, "A", "SYNC_KLOOP_START", sleep_us=100, options=_EVENTFDS)
    ends = started.asleep or not started.outcome.ok
    yield OTHERS, good(made)
    yield "a loop that does not run is not reported as one that ran", ends


promise(
    "14.kloop.no-eventfds", ("14.kloop.eventfds",), no_eventfds, kloop.EVENTFDS_SUCCEED, "F14-056",
    "a loop that does not run is not reported as one that ran",
    "A START that succeeds has run a loop: one whose eventfds cannot be had fails.",
    "where there are no eventfds it succeeds at once",
)  # fmt: skip


def version_told(w: World) -> Goals:
    w.open("A")
    old = w.legacy("A", "GINFO", {"name": "v0", "version": 12}, eager)
    new = w.legacy("A", "GINFO", {"name": "v0"}, eager)
    yield OTHERS, good(new) and old.outcome.detail == "EINVAL"
    yield "the version that is spoken comes back", old.out["nr_version"] == 14


promise(
    "14.legacy.tells-version", ("14.legacy.version-told",), version_told, legacy.VERSION_KEPT, "F14-045",
    "the version that is spoken comes back",
    "A request of another version comes back with the version that the kernel speaks.",
    "it comes back as it was sent",
)  # fmt: skip
