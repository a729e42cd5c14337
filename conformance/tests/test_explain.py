"""Explaining clauses and the lines that netmap writes to the kernel's log."""

from __future__ import annotations

import io
import itertools
import json
import sys
import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest
from netmap_conformance import logline
from netmap_conformance.cli import main
from netmap_conformance.logline import Complaint, diagnose, infer_slots, parse
from netmap_reference.core.words import i32
from netmap_reference.gen14 import ring as model

LINE = (
    "nm_txsync_prologue vale0:a TX0: fail 'head < kring->rhead || head > kring->rtail' "
    "h 64 c 64 t 63 rh 0 rc 0 rt 63 hc 0 ht 63"
)
NAMES = ("head", "cur", "tail", "rhead", "rcur", "rtail", "hwcur", "hwtail")


def line(side: str, condition: str, **positions: int) -> str:
    """The line as netmap's NM_FAIL_ON prints it: every number signed."""
    letters = zip(("h", "c", "t", "rh", "rc", "rt", "hc", "ht"), NAMES, strict=True)
    numbers = " ".join(f"{letter} {i32(positions.get(name, 0))}" for letter, name in letters)
    function = f"nm_{side}sync_prologue".ljust(25)
    return f"123.456789 [1746] {function} em0 {side.upper()}3: fail '{condition}' {numbers}"


# --- reading the line ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "[ 1234.567890] ",
        "Nov 21 08:00:00 host kernel: [ 1234.567890] 890.123456 [1746] ",
        "<6>[    5.0] 005.000001 [1748] ",
        "Nov 21 08:00:00 freebsd kernel: 890.123456 [1746] ",
    ],
)
def test_a_line_is_read_whatever_the_log_puts_in_front(prefix: str) -> None:
    found = parse(prefix + LINE)
    assert found is not None
    assert (found.side, found.ring) == ("tx", "vale0:a TX0")
    assert found.condition == "head < rhead || head > rtail"
    assert [getattr(found, n) for n in NAMES] == [64, 64, 63, 0, 0, 63, 0, 63]


def test_numbers_are_the_applications_unsigned_words() -> None:
    found = parse(line("rx", "head < kring->nr_hwcur && head > kring->nr_hwtail", head=2**32 - 1, hwcur=9))
    assert found is not None and found.head == 2**32 - 1


def test_quotes_eaten_by_a_shell_and_a_lost_function_name() -> None:
    found = parse(LINE.replace("'", "").removeprefix("nm_txsync_prologue "))
    assert found is not None
    assert (found.side, found.condition) == ("tx", "head < rhead || head > rtail")


@pytest.mark.parametrize("text", ["", "em0 link up", "fail 'x'", LINE.removesuffix(" ht 63"), "em0 TX0"])
def test_other_text_is_not_a_complaint(text: str) -> None:
    assert parse(text) is None


# --- what it means ------------------------------------------------------------------------------


def printed_by_netmap(side: str, k: model.Kring, head: int, cur: int) -> str | None:
    """The condition that netmap prints for these positions, from the case analysis of its prologues."""
    tx = side == "tx"
    low, high = (k.rhead, k.rtail) if tx else (k.hwcur, k.hwtail)
    l, h = ("rhead", "rtail") if tx else ("hwcur", "hwtail")  # noqa: E741
    if high >= low:
        if head < low or head > high:
            return f"head < {l} || head > {h}"
        return f"cur < head || cur > {h}" if cur < head or cur > high else None
    if high < head < low:
        return f"head > {h} && head < {l}" if tx else f"head < {l} && head > {h}"
    if head <= high:
        return f"cur < head || cur > {h}" if cur < head or cur > high else None
    if high < cur < head:
        return f"cur > {h} && cur < head" if tx else f"cur < head && cur > {h}"
    return None


@pytest.mark.parametrize("side", ["tx", "rx"])
def test_every_line_netmap_can_print_for_a_ring_of_four_is_understood(side: str) -> None:
    """All windows, all heads and curs, one past the end included: the model names the same culprit."""
    n, seen = 4, set()
    for low, high, head, cur in itertools.product(range(n), range(n), range(n + 1), range(n + 1)):
        k = model.Kring(n, low, high, low, low, high)
        condition = printed_by_netmap(side, k, head, cur)
        if condition is None:
            continue
        seen.add(condition)
        rhead, rcur = (low, low) if side == "tx" else (head, cur)
        found = Complaint(side, "em0 TX0", condition, head, cur, high, rhead, rcur, high, low, high)
        told = diagnose(found, n)
        culprit = "head" if condition.startswith("head") or head >= n else "cur"
        assert told.rule == f"14/ring/{side}_prologue/{culprit}-outside"
        assert told.clause == f"14.ring.{side}-window"
        assert not any("damaged" in s or "accepts" in s for s in told.text), told.text
        assert told.picture.n == n
    assert len(seen) == 4, "each of the four conditions of a prologue"
    assert seen <= set(logline.CONDITIONS)


def sentences(side: str, condition: str, slots: int | None = None, **positions: int) -> str:
    found = parse(line(side, condition, **positions))
    assert found is not None
    return " ".join(diagnose(found, slots).text)


def test_an_index_that_was_not_wrapped() -> None:
    found = parse(LINE)
    assert found is not None
    assert infer_slots(found)[0] == 64
    text = " ".join(diagnose(found).text)
    assert "one past the last slot" in text and "nm_ring_next()" in text


def test_an_index_that_went_below_zero() -> None:
    ring = {"rtail": 63, "hwtail": 63, "tail": 63}
    text = sentences("tx", "head < kring->rhead || head > kring->rtail", 64, head=2**32 - 1, **ring)
    assert "-1 as a signed number" in text and "subtraction" in text


def test_more_slots_than_there_were() -> None:
    ring = {"rhead": 10, "rcur": 10, "rtail": 20, "hwcur": 10, "hwtail": 20, "tail": 20}
    text = sentences("tx", "head < kring->rhead || head > kring->rtail", 64, head=25, cur=25, **ring)
    assert "10 slots (10 … 19) to fill" in text and "announced 15 slots" in text and "5 past" in text


def test_a_head_that_went_back() -> None:
    ring = {"hwcur": 30, "hwtail": 40, "tail": 40, "rtail": 40}
    text = sentences("rx", "head < kring->nr_hwcur || head > kring->nr_hwtail", 64, head=28, cur=28, **ring)
    assert "went back by 2 slots, from 30 to 28" in text


def test_a_cur_left_behind_and_a_cur_too_far() -> None:
    ring = {"hwcur": 30, "hwtail": 40, "tail": 40, "rtail": 40}
    condition = "cur < head || cur > kring->nr_hwtail"
    assert "cur (30) is behind head (35)" in sentences("rx", condition, 64, head=35, cur=30, **ring)
    text = sentences("rx", condition, 64, head=35, cur=42, **ring)
    assert "cur (42) is past the kernel's tail (40)" in text


def test_a_kernel_that_contradicts_itself_is_not_the_applications_fault() -> None:
    condition = "kring->nr_hwcur >= n || kring->rhead >= n || kring->rtail >= n || kring->nr_hwtail >= n"
    found = parse(line("tx", condition, hwcur=70, hwtail=3, rtail=3))
    assert found is not None
    told = diagnose(found, 64)
    assert told.clause == "14.ring.kring-order" and not told.rule
    assert "not the application's doing" in told.text[0]


def test_a_line_whose_numbers_do_not_fit_says_so() -> None:
    ring = {"rhead": 10, "rcur": 10, "rtail": 20, "hwcur": 10, "hwtail": 20, "tail": 20}
    text = sentences("tx", "head < kring->rhead || head > kring->rtail", 64, head=15, cur=15, **ring)
    assert "damaged line" in text and "accepts" in text
    with pytest.raises(ValueError, match="no ring of 16 slots"):
        sentences("tx", "head < kring->rhead || head > kring->rtail", 16, head=25, cur=25, **ring)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("nm_txsync_prologue  em0 TX0 tail overwritten was 9 need 63", "14.ring.tail-is-kernels"),
        ("netmap_ring_reinit  bad index at slot 3 idx 99999 len 60 ", "14.ring.reinit-slots"),
        ("netmap_ring_reinit  bad len at slot 3 idx 12 len 9000", "14.ring.reinit-slots"),
        ("netmap_ring_reinit  em0 RX1 reinit, cur 70 -> 3 tail 9 -> 12", "14.ring.reinit-resets"),
        ("001.000001 [1854] netmap_ring_reinit        called for em0 RX1", "14.ring.reinit-resets"),
    ],
)
def test_the_other_lines_of_a_broken_ring(text: str, clause: str) -> None:
    found = logline.other(text)
    assert found is not None and found[0] == clause
    assert "{" not in found[1]


# --- the command --------------------------------------------------------------------------------


def test_a_log_line_is_drawn_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", LINE]) == 0
    out = capsys.readouterr().out
    assert "14.ring.tx-window" in out and "14/ring/tx_prologue/head-outside" in out
    assert "▓" in out and "hwtail" in out and "--slots" in out
    assert main(["explain", *LINE.replace("'", "").split(), "--slots", "1024"]) == 0
    out = capsys.readouterr().out
    assert "1024 slots" in out and "1 past the kernel's tail" in out and "Give --slots" not in out


def test_a_whole_log_is_searched(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    log = f"boot\n[1.0] {LINE}\nnetmap_ring_reinit called for vale0:a TX0\nusb 1-1: new device\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(log))
    assert main(["explain", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [t["clause"] for t in told] == ["14.ring.tx-window", "14.ring.reinit-resets"]
    assert told[0]["complaint"]["head"] == 64


def test_a_log_without_a_complaint_is_wrong_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("all quiet\n"))
    assert main(["explain"]) == 2
    assert "no complaint of netmap" in capsys.readouterr().err


def test_the_ring_can_be_kept_as_svg(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", LINE, "--svg", str(tmp_path / "ring.svg")]) == 0
    assert Xml.parse(tmp_path / "ring.svg").getroot().tag.endswith("svg")
    (tmp_path / "file").write_text("")
    assert main(["explain", LINE, "--svg", str(tmp_path / "file" / "ring.svg")]) == 4


def test_a_clause_is_told_with_everything_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "14.ring.tx-window"]) == 0
    out = capsys.readouterr().out
    for part in ("positions a txsync accepts", "MUST", "89607e14", "14/ring/tx_prologue/accept", "scenarios"):
        assert part in out
    assert main(["explain", "14.ring.tx-window", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["id"] == "14.ring.tx-window"
    rules = {r["id"] for r in told["rules"]}
    assert {"14/ring/tx_prologue/accept", "14/ring/tx_prologue/head-outside"} <= rules


def test_a_rule_or_a_deviation_leads_to_its_clause(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "14/ring/tx_prologue/accept"]) == 0
    assert "14.ring.tx-window" in capsys.readouterr().out
    assert main(["explain", model.REINIT_TRUSTS_USER]) == 0
    assert "14.ring.reinit-resets" in capsys.readouterr().out


def test_a_name_of_the_headers_leads_to_the_clauses_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "NS_MOREFRAG"]) == 0
    told = capsys.readouterr().out
    assert "NS_MOREFRAG (constant, netmap.h)" in told and "14.abi.slot-flags" in told
    assert main(["explain", "tail", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["symbol"] == "netmap_ring.tail" and "14.ring.tail-is-kernels" in found["clauses"]
    assert main(["explain", "nr_flags"]) == 0
    told = capsys.readouterr().out
    assert "nmreq.nr_flags" in told and "nmreq_register.nr_flags" in told
    assert main(["explain", "nmreq_vale_list.pad1"]) == 0
    assert "in no clause: padding" in capsys.readouterr().out


def test_a_finding_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "f14-001", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["id"] == "F14-001" and model.REINIT_TRUSTS_USER in told["text"]
    assert main(["explain", "F14-001"]) == 0
    assert told["title"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("14.ring.tx-windw", "14.ring.tx-window"),
        ("14.rng.reinit-resets", "14.ring.reinit-resets"),
        ("kring-order", "14.ring.kring-order"),
        ("14/ring/tx_prologue/acept", "14/ring/tx_prologue/accept"),
    ],
)
def test_a_typing_error_gets_a_suggestion(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", typed]) == 2
    assert f"did you mean {meant}" in capsys.readouterr().err


def test_nonsense_gets_the_list_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "qqqqzzzz"]) == 2
    assert "explain --list" in capsys.readouterr().err
    assert main(["explain", "--list"]) == 0
    assert "14.ring.tx-window" in capsys.readouterr().out
