"""The oracle's verdicts, each on a run that deserves it and on its neighbour that does not.

Runs are recorded on the executable model and then changed: an implementation that did this would have
shown that.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from netmap_conformance import manifest as manifests
from netmap_conformance.manifest import Deviation, Manifest
from netmap_conformance.oracle import Finding, Judgement, Malformed, judge
from netmap_conformance.runner import run
from netmap_conformance.scn import parse_scn
from netmap_conformance.targets.reference import ReferenceTarget
from netmap_conformance.trace import Call, Event, Header, Port, Return, See, Trace
from netmap_spec import clauses

PIPE = """
open A
open B
reg A x{1 tx_slots=8 rx_slots=8
reg B x}1
mmap A
mmap B
"""
NIC = """
# ports: v0 nic tx_slots=8 rx_slots=8
open A
reg A v0
mmap A
"""


class Reading(ReferenceTarget):
    """The model with deviations switched on: an implementation that has them."""

    def __init__(self, switches: frozenset[str]) -> None:
        super().__init__(Manifest(name="as written", choices={"policy": "eager"}))
        self._switches = switches

    def start(self, header: Header) -> None:
        super().start(header)
        self._world.switches = self._switches


def recorded(text: str, policy: str = "eager", manifest: Manifest | None = None) -> Trace:
    """The run of a scenario on the model, with the deviations that a manifest lists."""
    if manifest is None:
        target = ReferenceTarget(manifests.load("reference"), policy)
    else:
        target = Reading(manifest.switches("hand-made"))
    trace, _ = run(target, parse_scn(text, "hand-made.scn"), manifest, build=None)
    return trace


def returns(trace: Trace, op: str) -> list[Return]:
    """The returns of every call of ``op``, in order of the calls."""
    wanted = [c.n for c in trace.calls() if c.op == op]
    by = {e.of: e for e in trace.events if isinstance(e, Return)}
    return [by[n] for n in wanted if n in by]


def seen(done: Return) -> See:
    assert done.see is not None
    return done.see


def changed(trace: Trace, change: Callable[[Trace], Any]) -> Judgement:
    """The judgement on a copy of the run with something changed in it."""
    other = copy.deepcopy(trace)
    change(other)
    return judge(other)


def only(judgement: Judgement) -> Finding:
    """The single finding of a judgement that ended at it."""
    assert len(judgement.findings) == 1, [str(f) for f in judgement.findings]
    return judgement.findings[0]


# --- PASS -------------------------------------------------------------------------------------


def test_what_the_model_does_is_allowed_and_its_rules_are_counted() -> None:
    judgement = judge(
        recorded(PIPE + "send A tx0 3\ntxsync A\nrxsync B\nbytes B rx0 0 20\nclose A\nclose B\n")
    )
    assert judgement.verdict == "PASS"
    assert judgement.findings == []
    assert judgement.steps == 12
    assert judgement.rules["14/pipe/txsync/handed-over"] == 1


@pytest.mark.parametrize("policy", ["eager", "lazy"])
def test_how_far_a_nic_gets_is_its_own_choice_and_is_reported(policy: str) -> None:
    judgement = judge(recorded(NIC + "send A tx0 3\ntxsync A\ntxsync A\n", policy))
    assert judgement.verdict == "PASS"
    assert judgement.choices["nic.tx-completed"]["hi" if policy == "eager" else "lo"] >= 1


# --- VIOLATION: the clause of the field that differs --------------------------------------------


def _succeeds(done: Return) -> None:
    done.ret, done.errno = 0, ""


def _tail(done: Return, ring: str, by: int) -> None:
    seen(done).rings[ring]["tail"] = (seen(done).rings[ring]["tail"] + by) % 8


@pytest.mark.parametrize(
    ("scenario", "change", "clause", "allowed"),
    [
        pytest.param(
            PIPE + "send A tx0 3\ntxsync A\nrxsync B\n",
            lambda t: _tail(returns(t, "rxsync")[0], "rx0", -1),
            "14.pipe.rxsync",
            "rx0 tail 3",
            id="a packet of a pipe is not reported",
        ),
        pytest.param(
            PIPE + "send A tx0 3\ntxsync A\n",
            lambda t: _tail(returns(t, "txsync")[0], "tx0", 2),
            "14.pipe.txsync",
            "tx0 tail 7",
            id="a pipe gives slots back that the receiver still has",
        ),
        pytest.param(
            NIC + "send A tx0 3\ntxsync A\n",
            lambda t: _tail(returns(t, "txsync")[0], "tx0", 1),
            "14.nic.reclaim",
            "tx0 tail 7 to 2 (the kernel may choose)",
            id="a NIC completes more than it was given",
        ),
        pytest.param(
            NIC + "rxsync A\n",
            lambda t: _tail(returns(t, "rxsync")[0], "rx0", 1),
            "14.nic.rxsync",
            "rx0 tail 0",
            id="a frame out of nowhere",
        ),
        pytest.param(
            PIPE + "rxsync B\n",
            lambda t: _tail(returns(t, "rxsync")[0], "tx0", -1),
            "14.sync.each-ring",
            "tx0 tail 7",
            id="an rxsync moves a transmit ring",
        ),
        pytest.param(
            PIPE + "send A tx0 3\ntxsync A\n",
            lambda t: seen(returns(t, "txsync")[0]).rings["tx0"].update(head=2),
            "14.ring.tail-published",
            "tx0 head 3",
            id="an accepted sync changes head",
        ),
        pytest.param(
            PIPE + "set A tx0 both=7\nset A tx0 head=3\ntxsync A\n",
            lambda t: seen(returns(t, "txsync")[0]).rings["tx0"].update(head=1),
            "14.ring.tail-published",
            "tx0 head 3",
            id="head moves although cur is ahead",
        ),
        pytest.param(
            PIPE + "set A tx0 head=9\ntxsync A\n",
            lambda t: seen(returns(t, "txsync")[0]).rings["tx0"].update(head=1),
            "14.ring.reinit-resets",
            "tx0 head 0",
            id="a rejected ring is put somewhere else",
        ),
        pytest.param(
            PIPE + "slot A tx0 5 len=9000\nset A tx0 head=9\ntxsync A\n",
            lambda t: seen(returns(t, "txsync")[0]).slots.clear(),
            "14.ring.reinit-slots",
            "slot 5",
            id="a rejected ring keeps a slot that is too long",
        ),
        pytest.param(
            PIPE + "set A tx0 tail=3\n",
            lambda t: seen(returns(t, "set")[0]).rings["tx0"].update(tail=7),
            "14.ring.tail-is-kernels",
            "tx0 tail 3",
            id="a store that is not there",
        ),
        pytest.param(
            PIPE + "rxsync B\nrxsync B\n",
            lambda t: seen(returns(t, "rxsync")[1]).rings["rx0"].update(ts_set=0),
            "14.sync.timestamp",
            "rx0 ts_set 1",
            id="a stamp once, then none",
        ),
        pytest.param(
            PIPE,
            lambda t: seen(returns(t, "mmap")[0]).rings["tx0"].update(num_slots=9),
            "14.register.sizes",
            "tx0 num_slots 8",
            id="another size than REGISTER said",
        ),
        pytest.param(
            PIPE,
            lambda t: seen(returns(t, "mmap")[0]).slots["tx0"][3].__setitem__(2, 100),
            "14.memory.fresh-ring",
            "slot.len 2048 in slot 3",
            id="a new ring with a short slot",
        ),
        pytest.param(
            PIPE,
            lambda t: seen(returns(t, "mmap")[0]).rings.pop("rx0"),
            "14.register.rings",
            "rx0, tx0",
            id="a ring that is not there",
        ),
        pytest.param(
            PIPE + "poll B in 0\n",
            lambda t: setattr(returns(t, "poll")[0], "revents", ["in"]),
            "14.poll.ready",
            "revents nothing",
            id="ready for nothing",
        ),
        pytest.param(
            PIPE + "reg A x{1\n",
            lambda t: setattr(returns(t, "register")[2], "errno", "EINVAL"),
            "14.register.once",
            "errno EBUSY",
            id="another error than the contract names",
        ),
        pytest.param(
            PIPE + "reg A x{1\n",
            lambda t: _succeeds(returns(t, "register")[2]),
            "14.register.once",
            "ret ERRNO(EBUSY)",
            id="bound twice",
        ),
        pytest.param(
            PIPE + "txsync A\n",
            lambda t: setattr(returns(t, "txsync")[0], "fault", "SIGSEGV"),
            "14.sync.each-ring",
            "outcome OK",
            id="the implementation dies",
        ),
        pytest.param(
            PIPE + "send A tx0 1\ntxsync A\nrxsync B\nbytes B rx0 0 20\n",
            lambda t: seen(returns(t, "bytes")[0]).bytes.update({"rx0/0": "00" * 20}),
            "14.pipe.rxsync",
            "bytes ffffffffffff",
            id="other bytes than were sent",
        ),
    ],
)  # fmt: skip
def test_violations_name_clause_step_and_what_was_allowed(
    scenario: str, change: Callable[[Trace], Any], clause: str, allowed: str
) -> None:
    trace = recorded(scenario)
    assert judge(trace).verdict == "PASS"
    judgement = changed(trace, change)
    found = only(judgement)
    assert judgement.verdict == found.kind == "VIOLATION"
    assert (found.clause, found.clause in clauses.load()) == (clause, True)
    assert allowed in found.allowed
    last = list(trace.calls())[found.step - 1]
    assert found.op == last.text


def test_a_violation_shows_the_ring_before_and_after() -> None:
    judgement = changed(
        recorded(PIPE + "send A tx0 3\ntxsync A\nrxsync B\n"),
        lambda t: _tail(returns(t, "rxsync")[0], "rx0", 2),
    )
    found = only(judgement)
    (before,), (after,) = found.before, found.after
    assert before.name == after.name == "x}1:rx0"
    assert (before.marks["tail"], before.marks["hwcur"], after.marks["tail"]) == (0, 0, 5)
    assert "hwcur" in before.to_text() and "tail=5" in after.to_text()


def test_nothing_is_judged_after_a_violation() -> None:
    trace = recorded(PIPE + "txsync A\nrxsync B\n")
    for done in returns(trace, "txsync") + returns(trace, "rxsync"):
        _tail(done, "tx0", 1)
    judgement = judge(trace)
    assert only(judgement).step == 7
    assert judgement.steps == 7


# --- STALLED ----------------------------------------------------------------------------------


def settled(trace: Trace) -> Trace:
    """The run with a ``settle`` at its end that changed nothing."""
    n = max(c.n for c in trace.calls()) + 1
    trace.events += [Call(n=n, op="settle", text="settle"), Return(of=n)]
    return trace


def test_completions_that_never_come_are_a_stall() -> None:
    trace = recorded(NIC + "send A tx0 3\ntxsync A\n", "lazy")
    assert judge(trace).verdict == "PASS", "no hurry"
    found = only(judge(settled(trace)))
    assert (found.kind, found.clause) == ("STALLED", "14.nic.reclaim")
    assert "tail of v0:tx0 at 2" in found.allowed
    assert found.seen == "tail still 7"
    assert found.before[0].name == "v0:tx0"


def test_frames_that_never_show_are_a_stall() -> None:
    trace = recorded(NIC + f"frame v0 wire {'ff' * 60}\nrxsync A\n", "lazy")
    assert judge(trace).verdict == "PASS"
    found = only(judge(settled(trace)))
    assert (found.kind, found.clause) == ("STALLED", "14.nic.arrival")


def test_frames_that_never_come_out_are_a_stall() -> None:
    trace = settled(recorded(NIC + "send A tx0 3\ntxsync A\n"))
    last = max(c.n for c in trace.calls())
    args = {"port": "v0", "side": "wire"}
    sent = [(b"\xff" * 6 + bytes((2, 0, 0, 0, 0, 1)) + b"\x88\xb5" + bytes([i]) * 46).hex() for i in range(3)]
    some: list[Event] = [
        Call(n=last + 1, op="frames", args=args),
        Return(of=last + 1, see=See(frames=sent[:2])),
    ]
    rest: list[Event] = [
        Call(n=last + 2, op="frames", args=args),
        Return(of=last + 2, see=See(frames=sent[2:])),
    ]
    hurry = copy.deepcopy(trace)
    hurry.events = [*hurry.events[:-2], *some, *rest]
    assert judge(hurry).verdict == "PASS", "they may come later"
    trace.events += some
    found = only(judge(trace))
    assert (found.kind, found.clause, found.seen) == ("STALLED", "14.nic.txsync", "1 are missing")


def test_frames_come_out_as_they_were_sent_and_in_order() -> None:
    trace = recorded(NIC + "send A tx0 2\ntxsync A\nframes v0 wire\n")
    assert judge(trace).verdict == "PASS"
    frames = seen(returns(trace, "frames")[0]).frames
    assert frames is not None and len(frames) == 2
    frames.reverse()
    assert only(judge(trace)).clause == "14.nic.order"


def test_a_poll_without_timeout_does_not_return_with_nothing() -> None:
    trace = recorded(PIPE + "poll B in 0\n")
    call = next(c for c in trace.calls() if c.op == "poll")
    call.args["timeout_ms"] = -1
    found = only(judge(trace))
    assert (found.clause, found.allowed) == ("14.poll.ready", "revents sleeping until something is ready")


def test_what_is_done_is_no_stall() -> None:
    assert (
        judge(
            settled(recorded(NIC + f"send A tx0 3\ntxsync A\nframe v0 wire {'ff' * 60}\nrxsync A\n"))
        ).verdict
        == "PASS"
    )


def test_a_poll_that_sleeps_on_is_a_lost_wake_up_when_its_condition_holds() -> None:
    trace = recorded(PIPE + "bg P poll B in 2000\nsend A tx0 1\ntxsync A\njoin P\n")
    poll = next(c.n for c in trace.calls() if c.op == "poll")
    assert judge(trace).verdict == "PASS"
    asleep = copy.deepcopy(trace)
    asleep.events = [e for e in asleep.events if not (isinstance(e, Return) and e.of == poll)]
    assert judge(asleep).verdict == "PASS", "it may still be on its way"
    found = only(judge(settled(asleep)))
    assert (found.kind, found.clause) == ("STALLED", "14.poll.wakeup")
    assert "in is ready" in found.allowed


def test_a_poll_may_sleep_while_nothing_is_ready() -> None:
    trace = recorded(PIPE + "bg P poll B in 2000\ntxsync A\njoin P\n")
    poll = next(c.n for c in trace.calls() if c.op == "poll")
    trace.events = [e for e in trace.events if not (isinstance(e, Return) and e.of == poll)]
    assert judge(settled(trace)).verdict == "PASS"


def test_an_environment_that_never_rests_cannot_be_judged() -> None:
    trace = settled(recorded(PIPE))
    trace.events[-1] = Return(of=trace.events[-1].of, ret=-1, errno="ETIMEDOUT")  # type: ignore[union-attr]
    assert judge(trace).verdict == "INCONCLUSIVE"


# --- HANG -------------------------------------------------------------------------------------


def test_a_sync_that_does_not_come_back_hangs() -> None:
    judgement = changed(
        recorded(PIPE + "txsync A\n"), lambda t: setattr(returns(t, "txsync")[0], "hang", True)
    )
    assert only(judgement).kind == judgement.verdict == "HANG"


# --- INCONCLUSIVE -----------------------------------------------------------------------------


def test_more_states_than_the_cap_are_not_accepted() -> None:
    """Which of two receive rings a frame takes is the NIC's choice, and nobody has looked yet."""
    frame = f"frame v0 wire {'ff' * 60}\n"
    trace = recorded("# ports: v0 nic rx_rings=2\nopen A\nreg A v0\nmmap A\n" + 3 * frame)
    assert judge(trace, cap=16).verdict == "PASS"
    judgement = judge(trace, cap=3)
    assert judgement.verdict == "INCONCLUSIVE"
    assert "3" in only(judgement).reason


def test_a_hole_in_a_recording_cannot_be_accepted_but_what_follows_is_judged() -> None:
    trace = recorded(PIPE + "send A tx0 1\ntxsync A\nrxsync B\n")
    hole = Call(n=99, op="lost", args={"number": 1}, text="operation 1, whose line is missing")
    trace.events[4:4] = [hole, Return(of=99)]
    assert judge(trace).verdict == "INCONCLUSIVE"
    judgement = changed(trace, lambda t: _tail(returns(t, "rxsync")[0], "rx0", 1))
    assert judgement.verdict == "VIOLATION"
    assert [f.kind for f in judgement.findings] == ["INCONCLUSIVE", "VIOLATION"]


# --- NOT_MODELLED -----------------------------------------------------------------------------


def test_what_the_model_does_not_have_is_named_by_its_missing_rule() -> None:
    trace = parse_scn("open A\nparam admode sometimes\n", "v.scn")
    trace.events = [trace.events[0], Return(of=1), trace.events[1], Return(of=2)]
    found = only(judge(trace))
    assert (found.kind, found.reason, found.step) == ("NOT_MODELLED", "14/control/parameter/text", 2)


# --- DEVIATION --------------------------------------------------------------------------------

STAMP = "14.tx-not-stamped"
STAMPED = PIPE + "set A tx0 flags=NR_TIMESTAMP\ntxsync A\ntxsync A\n"


def listing(tests: str = "*") -> Manifest:
    deviation = Deviation(
        clause="14.sync.timestamp", switch=STAMP, tests=tests, reason="no stamp", link="https://example.org/1"
    )
    return Manifest(name="mine", deviations=[deviation])


def test_a_listed_deviation_is_told_once_and_the_judgement_goes_on() -> None:
    trace = recorded(STAMPED, manifest=listing())
    judgement = judge(trace, listing())
    found = only(judgement)
    assert judgement.verdict == found.kind == "DEVIATION"
    assert (found.clause, found.deviation, found.step) == ("14.sync.timestamp", STAMP, 8)
    assert (found.reason, found.link) == ("no stamp", "https://example.org/1")
    assert "ts_set 1" in found.allowed and found.seen == "0"
    assert judgement.steps == 9


def test_an_unlisted_deviation_is_a_violation_that_says_which_reading_explains_it() -> None:
    trace = recorded(STAMPED, manifest=listing())
    for manifest in (None, Manifest(name="mine"), listing("other-*")):
        found = only(judge(trace, manifest))
        assert (found.kind, found.clause) == ("VIOLATION", "14.sync.timestamp")
        assert STAMP in found.reason


def test_a_listed_deviation_that_does_not_show_is_no_finding() -> None:
    assert judge(recorded(STAMPED), listing()).verdict == "PASS"


def test_a_deviation_may_do_its_work_long_before_it_shows() -> None:
    """The slots of a ring without buffers overwrite those of the ring that owns them; seen at mmap."""
    text = (
        "open A\nopen B\nreg A x{1 tx_rings=2 rx_rings=2 mode=ONE_NIC ringid=1\nreg B x}1\nmmap A\nmmap B\n"
    )
    switch = "14.pipe-copies-fake-ring"
    manifest = Manifest(
        name="mine", deviations=[Deviation(clause="14.pipe.shared-buffers", switch=switch, reason="known")]
    )
    trace = recorded(text, manifest=manifest)
    judgement = judge(trace, manifest)
    assert judgement.verdict == "DEVIATION"
    assert only(judgement).step == 6
    assert judge(trace).verdict == "VIOLATION"


def test_a_deviation_without_a_reading_excuses_its_clause_and_ends_the_judgement() -> None:
    trace = recorded(PIPE + "txsync A\nrxsync B\n")
    _tail(returns(trace, "txsync")[0], "tx0", 1)
    listed = Manifest(name="m", deviations=[Deviation(clause="14.pipe.txsync", reason="off by one")])
    judgement = judge(trace, listed)
    assert (judgement.verdict, only(judgement).reason, judgement.steps) == ("DEVIATION", "off by one", 7)


# --- errors the contract leaves open ------------------------------------------------------------


def laid_out(*errnos: str) -> Trace:
    """Rings that cannot be laid out in whole pages are refused, with these errors."""
    trace = Trace(header=Header(netmap_trace=1, generation="14"), events=[])
    trace.header.ports = [Port(name="v0")]
    trace.events += [
        Call(n=1, op="sysctl", args={"name": "ring_size", "value": 65536 + 64}),
        Return(of=1),
        Call(n=2, op="open", fd="A"),
        Return(of=2),
    ]
    for n, errno in enumerate(errnos, 3):
        trace.events += [
            Call(n=n, op="register", fd="A", args={"name": "v0"}),
            Return(of=n, ret=-1, errno=errno),
        ]
    return trace


def test_an_open_error_may_be_chosen_but_not_changed() -> None:
    judgement = judge(laid_out("ERANGE", "ERANGE"))
    assert judgement.verdict == "PASS"
    assert judgement.choices == {"14.memory.rounding": "ERANGE"}
    found = only(judge(laid_out("ERANGE", "EIO")))
    assert (found.kind, found.clause, found.step) == ("VIOLATION", "14.memory.rounding", 4)


def test_a_manifest_names_the_errors_of_its_system() -> None:
    trace = recorded(PIPE + "reg A x{1\n")
    returns(trace, "register")[2].errno = "E77"
    assert judge(trace).verdict == "VIOLATION"
    assert judge(trace, Manifest(name="m", errno={"E77": "EBUSY"})).verdict == "PASS"


# --- observations that are none -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: setattr(d, "of", 77), "return of call 77, which was not made"),
        (lambda d: d.see.rings["tx0"].update(tail="x"), "rings.tx0.tail is 'x', not a number"),
        (lambda d: d.see.rings.update(foo={}), "'foo' is not the name of a ring"),
        (
            lambda d: d.see.slots.update(tx0=[[1, 2]]),
            "[1, 2] in tx0 is not [index, buf_idx, len, flags, ptr]",
        ),
        (lambda d: d.see.nifp.update(ring_ofs=3), "nifp.ring_ofs is 3, not a list of numbers"),
    ],
)
def test_nonsense_is_an_error_of_the_file(change: Callable[[Return], Any], message: str) -> None:
    trace = recorded(PIPE)
    change(returns(trace, "mmap")[0])
    with pytest.raises(Malformed, match=message.replace("[", r"\[")):
        judge(trace)


@pytest.mark.parametrize(("told", "verdict"), [("0", "PASS"), ("163840", "PASS"), ("7", "VIOLATION")])
def test_memory_of_a_request_that_failed_may_stay(told: str, verdict: str) -> None:
    """14.memory.current: then its objects are counted; any other number is somebody's slip"""
    text = "# ports: v0 nic tx_slots=8 rx_slots=8\nopen A\nfail memory.map\nreg A v0\nparam buf_curr_num\n"
    run = recorded(text)
    judged = changed(run, lambda t: setattr(returns(t, "param")[0], "out", {"value": told}))
    assert judged.verdict == verdict
    assert {f.clause for f in judged.findings} == (set() if verdict == "PASS" else {"14.memory.current"})


REUSED = """
open Z
reg Z x{9 tx_slots=2 rx_slots=2
open A
reg A x{1 tx_slots=4 rx_slots=4
mmap A
eth A tx0 0 ff 1 60 ee
eth A tx0 1 ff 1 60 ee
close A
open B
reg B x{1 tx_slots=4 rx_slots=4
mmap B
bytes B tx0 0 60
bytes B tx0 1 60
"""


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (("", ""), "PASS"),
        (("00" * 60, "00" * 60), "PASS"),
        (("", "00" * 60), "VIOLATION"),
        (("11" * 60, ""), "VIOLATION"),
    ],
    ids=["as left", "all cleared", "one cleared", "anything"],
)
def test_bytes_of_a_buffer_that_is_used_again(told: tuple[str, str], verdict: str) -> None:
    """14.memory.leftovers: those of its last user, or none of them anywhere"""

    def tell(trace: Trace) -> None:
        for done, data in zip(returns(trace, "bytes"), told, strict=True):
            seen(done).bytes.update({slot: data or was for slot, was in seen(done).bytes.items()})

    assert changed(recorded(REUSED), tell).verdict == verdict
