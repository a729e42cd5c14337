"""coverage --knockout: what deleting a rule does to the model's code, and whether a scenario notices."""

from __future__ import annotations

import ast

import pytest
from netmap_conformance.coverage import copies, deletion, knockout, rules, runs
from netmap_reference.core.step import RULES


def deleted(code: str, constant: str = "R", switch: str = "") -> tuple[str, int]:
    """The code without the rule, unparsed, and the number of places."""
    tree = ast.parse(code)
    made, count = deletion.delete(tree, deletion.Names({constant}), switch)
    return ast.unparse(made), count


def same(code: str, expected: str, switch: str = "") -> None:
    made, count = deleted(code, switch=switch)
    assert count == 1
    assert made == ast.unparse(ast.parse(expected))


def test_a_branch_that_fires_the_rule_is_gone_and_what_is_below_takes_over() -> None:
    same(
        "def f(x):\n if x:\n  return Step(1, (R,))\n return Step(2, (S,))",
        "def f(x):\n return Step(2, (S,))",
    )


def test_the_last_case_is_decided_by_the_one_above_it() -> None:
    same(
        "def f(x):\n if x:\n  return Step(1, (S,))\n return Step(2, (R,))",
        "def f(x):\n if x:\n  return Step(1, (S,))\n return Step(1, (S,))",
    )


def test_a_case_that_returns_what_the_one_below_returns_is_decided_by_another() -> None:
    same(
        "def f(x):\n if x > 2:\n  return Step(0, (S,))\n if x:\n  return Step(i32(1), (R,))\n"
        " return Step(1, (T,))",
        "def f(x):\n if x > 2:\n  return Step(0, (S,))\n if x:\n  return Step(0, (S,))\n"
        " return Step(1, (T,))",
    )


def test_a_step_with_one_case_becomes_the_identity() -> None:
    same("def f(k, n):\n return Step(k + n, (R,))", "def f(k, n):\n pass\n return Step(k)")


def test_a_branch_that_only_says_nothing_happens_falls_to_the_branch_above() -> None:
    same(
        "def f(x):\n if x:\n  yield Write(1)\n elif x > 1:\n  yield Fired(R)",
        "def f(x):\n if x or x > 1:\n  yield Write(1)",
    )


def test_effects_after_a_fired_rule_are_left_out_up_to_the_next_rule_or_lock() -> None:
    same(
        "def f(x):\n yield Fired(R)\n a = yield Read(x)\n for i in a:\n  yield Wake(i)\n yield Lock('l')\n"
        " yield Write(2)\n yield Fired(S)\n yield Write(3)",
        "def f(x):\n a = yield Read(x)\n for i in a:\n  pass\n yield Lock('l')\n"
        " yield Write(2)\n yield Fired(S)\n yield Write(3)",
    )


def test_a_rule_that_tells_what_was_done_takes_the_effects_before_it() -> None:
    same(
        "def f(s):\n s.a = 1\n fired.append(S)\n n = read(s)\n s.b[n] = 2\n put(s, n)\n fired.append(R)\n"
        " return n",
        "def f(s):\n s.a = 1\n fired.append(S)\n n = read(s)\n return n",
    )


def test_a_rule_that_tells_of_a_condition_makes_it_false() -> None:
    same(
        "def f(x):\n found = x > 1\n if found:\n  yield Fired(R)\n return found",
        "def f(x):\n found = x > 1\n found = False\n return False",
    )
    same(
        "def f(s):\n if s.bad:\n  yield Fired(R)\n return s.bad or s.worse",
        "def f(s):\n return False or s.worse",
    )


def test_a_failure_point_never_fails() -> None:
    same(
        "def f(s):\n may_fail(s, R, fired)\n s.a = 1\n if failure.fails(s, S):\n  s.b = 2",
        "def f(s):\n False\n s.a = 1\n if failure.fails(s, S):\n  s.b = 2",
    )
    same(
        "def f(s):\n if failure.fails(s, R, fired):\n  return 1\n return 2",
        "def f(s):\n if False:\n  return 1\n return 2",
    )


def test_a_step_that_a_switch_leaves_behind_is_taken_back() -> None:
    same(
        "def f(s):\n undo(s, 'x', lambda: g(s), SWITCH, R, True)\n return 2",
        "def f(s):\n undo(s, 'x', lambda: g(s), '', '', True)\n return 2",
    )


def test_a_choice_between_two_rules_by_a_switch_is_fixed_to_the_other() -> None:
    same(
        "def f(switches):\n a = S1 in switches\n yield Fired(T if a else R)\n yield Write(a)",
        "def f(switches):\n a = True\n yield Fired(T if a else T)\n yield Write(a)",
    )


def test_a_rule_of_a_switch_goes_with_its_switch() -> None:
    same(
        "def f(x, switches):\n if S1 in switches:\n  return Step(1, (R,))\n return Step(2, (T,))",
        "def f(x, switches):\n if S1 in ():\n  return Step(1, (R,))\n return Step(2, (T,))",
        switch="S1",
    )


def test_mentions_that_fire_nothing_stay() -> None:
    code = "def f(s):\n if s.fired[0] == R:\n  return {R: 1}[s]\n return 2"
    assert deleted(code) == (ast.unparse(ast.parse(code)), 0)


@pytest.mark.parametrize("generation", ["2011", "14"])
def test_every_rule_of_the_model_can_be_deleted(generation: str) -> None:
    """Every rule is fired somewhere, and its deletion leaves code that compiles."""
    for rule in rules.known(generation):
        module, constant = copies.homes()[rule.id]
        places = 0
        for name in copies.files():
            if name.split(".")[0] != module.split(".")[0]:
                continue
            tree = copies.tree(name)
            names = deletion.mentions(tree, constant, module, name == module)
            if not names:
                continue
            made, count = deletion.delete(tree, names, deletion.switch_of(copies.tree(module), constant))
            places += count
            assert (made is not tree) or not count, rule.id
            if count:
                compile(made, name, "exec")
        assert places, rule.id


# --- the copy ---------------------------------------------------------------------------------


def test_an_unchanged_copy_does_what_the_model_does_and_leaves_no_trace() -> None:
    known = dict(RULES)
    (scenario,) = [b for b in knockout.baselines("2011", "tx-too-far") if b.reading == runs.CONTRACT]
    with copies.copied({}, "gen2011.world") as (model, fuel):
        made = list(runs.steps2011(scenario.scenario, scenario.reading, model))
        assert model.World is not runs.load_model("2011").World
        assert 0 < fuel.left < copies.ROUNDS
    assert made == scenario.seen
    assert known == RULES
    with pytest.raises(ModuleNotFoundError):
        __import__(f"{copies.NAME}.gen2011.world")


def test_a_loop_that_does_not_end_is_ended() -> None:
    changed = {"gen2011.source": copies._compiled(ast.parse("while True:\n pass"), "gen2011.source")}
    with pytest.raises(copies.Endless), copies.copied(changed, "gen2011.world"):
        pass


def test_a_rule_whose_deletion_a_scenario_notices_names_scenario_and_step() -> None:
    about = knockout.baselines("2011", "tx-too-far")
    rule = next(r for r in rules.known("2011") if r.id == "2011/sync/take/too-far-rejected")
    entry = knockout.knock_out(rule, about)
    assert (entry.status, entry.crashed) == (knockout.KILLED, False)
    assert entry.by.startswith("tx-too-far")
    assert entry.how.startswith("step ")


def test_a_rule_that_no_scenario_is_about_survives_with_the_reason() -> None:
    about = knockout.baselines("2011", "tx-too-far")
    by_id = {r.id: r for r in rules.known("2011")}
    assert knockout.knock_out(by_id["2011/module/event/unknown"], about).reason == (
        "no scenario is about its clause"
    )
    bad = knockout.knock_out(by_id["2011/sync/check_cur/beyond"], about)
    assert bad.status == knockout.SURVIVED


# --- ours -------------------------------------------------------------------------------------


def test_every_rule_of_2011_is_fired_by_a_scenario_or_listed() -> None:
    found = rules.measure("2011")
    assert [r.id for r in found.gaps] == []


@pytest.mark.slow
def test_the_deletion_of_every_rule_of_2011_is_noticed_by_a_scenario_about_its_clause() -> None:
    found = knockout.run("2011")
    assert [(e.rule, e.reason) for e in found.survivors] == []
    assert len(found.entries) > 150


@pytest.mark.slow
def test_the_scenarios_take_every_branch_of_the_2011_model() -> None:
    from netmap_conformance.coverage import branches

    found = branches.measure()
    assert [f"{b.file}:{b.start} -> {b.end}: {b.text}" for b in found.missing] == []
    assert found.problems == []
    assert found.total > 500
