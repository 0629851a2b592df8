"""Templates x signals -> prompts, and what is told of a design before it is asked."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy as sa
from conftest import SIGNALS_CSV, SmallStudy
from hypothesis import given
from hypothesis import strategies as st

from servicegap.design import build_design, cross, save_design
from servicegap.errors import InputError
from servicegap.records import Signal, Template
from servicegap.store import Store
from servicegap.tables import PROMPTS, SIGNALS, TEMPLATES

NAMES = st.text(st.characters(categories=("L", "M", "Zs", "Pd", "Po"), include_characters="{}"), min_size=1)


def refused(small: SmallStudy) -> list[str]:
    with pytest.raises(InputError) as error:
        build_design(small.open())
    return str(error.value).splitlines()


def test_every_template_meets_every_signal_once(small: SmallStudy) -> None:
    design = build_design(small.open())
    pairs = [(prompt.template, prompt.signal) for prompt in design.prompts]
    assert sorted(pairs) == sorted(
        itertools.product([t.id for t in design.templates], [s.text for s in design.signals])
    )
    assert len({prompt.id for prompt in design.prompts}) == len(pairs) == 8 * 13


def test_the_design_is_the_same_every_time(small: SmallStudy) -> None:
    first, second = build_design(small.open()), build_design(small.open())
    assert first == second
    assert first.hash == second.hash


def test_the_control_begins_a_sentence_with_a_capital(small: SmallStudy) -> None:
    texts = {prompt.text for prompt in build_design(small.open()).prompts if prompt.signal == "someone"}
    assert "Someone took the bus to [BLANK]." in texts
    assert "At noon someone had [BLANK] for lunch." in texts


@given(st.lists(NAMES.map(str.strip).filter(bool), min_size=2, max_size=4, unique=True))
def test_prompts_of_one_template_differ_by_the_signal_alone(names: list[str]) -> None:
    template = Template("t", "Yesterday, {name} sold [BLANK] (so said {name}'s friend).")
    before, between, after = template.text.split("{name}")
    for name, prompt in zip(names, cross([template], [Signal(n, "A") for n in names]), strict=True):
        assert prompt.text == before + name + between + name + after


def test_ids_follow_the_texts_not_the_names_of_templates() -> None:
    [one] = cross([Template("a", "{name} x")], [Signal("Ana", "A")])
    [renamed] = cross([Template("b", "{name} x")], [Signal("Ana", "B")])
    [other] = cross([Template("a", "{name} y")], [Signal("Ana", "A")])
    assert one.id == renamed.id != other.id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Ben,North,man,common", "Ben,North,man,rare"),
        ("Ben,North", "Ben,South"),
        ("Ben,North", "Bea,North"),
    ],
)
def test_whatever_decides_results_changes_the_kept_design(
    small: SmallStudy, store: Store, old: str, new: str
) -> None:
    assert save_design(store, build_design(small.open()))
    assert not save_design(store, build_design(small.open()))
    small.change("signals.csv", old, new)
    changed = build_design(small.open())
    assert save_design(store, changed)
    with store.reading() as connection:
        kept = [Signal(**row) for row in connection.execute(sa.select(SIGNALS)).mappings()]
        assert connection.execute(sa.select(sa.func.count()).select_from(PROMPTS)).scalar() == 8 * 13
    assert sorted(kept, key=str) == sorted(changed.signals, key=str)


def test_a_changed_target_is_kept(small: SmallStudy, store: Store) -> None:
    save_design(store, build_design(small.open()))
    small.change("templates.yaml", 'lunch.", target: South', 'lunch.", target: East')
    assert save_design(store, build_design(small.open()))
    with store.reading() as connection:
        assert (
            connection.execute(sa.select(TEMPLATES.c.target).where(TEMPLATES.c.id == "s3")).scalar() == "East"
        )


def test_a_part_of_the_templates(small: SmallStudy) -> None:
    small.change(
        "study.yaml", "files: [templates.yaml]", "files: [templates.yaml]\n  targets: [East]\n  per_target: 2"
    )
    assert [template.id for template in build_design(small.open()).templates] == ["e1", "e2", "n1", "n2"]


def test_a_part_of_the_groups(small: SmallStudy) -> None:
    small.change("study.yaml", "control: true", "groups: [North, East]\n  names_per_group: 2")
    design = build_design(small.open())
    assert [(signal.group, signal.gender) for signal in design.signals] == [
        ("North", "woman"),
        ("North", "man"),
        ("East", "woman"),
        ("East", "man"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "control: true",
            "groups: [North, Suoth]",
            "study.yaml:6: unknown group 'Suoth'; the list has: North, South, East",
        ),
        ("control: true", "groups: [North, East, East]", "group 'East' is asked for 2 times"),
        (
            "control: true",
            "names_per_group: 5",
            "study.yaml:6: group 'North' has 4 names, 5 per group were asked for",
        ),
        (
            "reference: North",
            "reference: White",
            "study.yaml:17: plan: reference 'White' has no signals; groups that have: North,",
        ),
        (
            "  level: 0.95",
            "  level: 0.95\n  family:\n  - South\n  - Nope",
            "study.yaml:21: plan: family: 'Nope' has no signals; groups that have: North, South, East",
        ),
        (
            "  level: 0.95",
            "  level: 0.95\n  weights:\n    shares:\n      South: 0.4\n      West: 0.6",
            "study.yaml:22: plan: weights: 'West' is the target of no template; targets of the study's "
            "templates: South, East",
        ),
        (
            "  level: 0.95",
            "  level: 0.95\n  weights: {shares: {South: 1}}",
            "study.yaml:19: plan: weights: the target 'East' has no share",
        ),
        (
            "files: [signals.csv]",
            "files: [signals.csv, signals.csv]",
            "study.yaml:5: signals: files: Anna, Ben,",
        ),
        ("files: [signals.csv]", "files: [absent.csv]", "absent.csv: cannot be read"),
        (
            "files: [templates.yaml]",
            "files: [templates.yaml, templates.yaml]",
            "study.yaml:8: templates: files: s1, s2,",
        ),
        ("files: [templates.yaml]", "files: [absent.yaml]", "absent.yaml: no such file"),
        (
            "files: [templates.yaml]",
            "files: [templates.yaml]\n  targets: [West]",
            "study.yaml:9: templates: targets: West: no template has it; allowed: East, South",
        ),
        (
            "files: [templates.yaml]",
            "files: [templates.yaml]\n  study_only: true",
            "study.yaml:7: templates: no template is left",
        ),
    ],
)
def test_a_plan_that_cannot_be_designed_is_told(small: SmallStudy, old: str, new: str, told: str) -> None:
    small.change("study.yaml", old, new)
    assert told in "\n".join(refused(small))


def test_mistakes_in_names_and_in_templates_are_told_together(small: SmallStudy) -> None:
    small.change("signals.csv", "Ben,North,man,common", "Ben,,man,often")
    small.change("templates.yaml", '"{name} took the bus to [BLANK]."', '"Ben took the bus to [BLANK]."')
    small.change("templates.yaml", "id: e2", "id: e1")
    told = refused(small)
    assert [line.split("/")[-1].split(" ")[0] for line in told] == [
        "signals.csv:3:",
        "signals.csv:3:",
        "templates.yaml:3:",
        "templates.yaml:6:",
    ]
    assert "{name}" in told[2]
    assert "e1" in told[3]


def test_mistakes_of_every_file_are_told_together(small: SmallStudy) -> None:
    small.change("study.yaml", "files: [signals.csv]", "files: [signals.csv, more.csv, absent.csv]")
    small.change("study.yaml", "files: [templates.yaml]", "files: [templates.yaml, absent.yaml]")
    small.change("signals.csv", "Ben,North,man,common", "Ben,North,men,common")
    small.write("more.csv", "name,group\nMax,\n")
    small.change("templates.yaml", "id: e2", "id: e1")
    assert [line.split("/")[-1].split(" ")[0] for line in refused(small)] == [
        "signals.csv:3:",
        "more.csv:2:",
        "absent.csv:",
        "templates.yaml:6:",
        "absent.yaml:",
    ]


def test_what_the_plan_says_of_groups_and_targets_is_told_with_the_mistakes_of_the_other_file(
    small: SmallStudy,
) -> None:
    small.change("study.yaml", "  level: 0.95", "  family: [Nope]\n  weights: {shares: {West: 1}}")
    small.change("templates.yaml", "id: e2", "id: e1")
    told = refused(small)
    assert [line.split("/")[-1].split(" ")[0] for line in told] == ["templates.yaml:6:", "study.yaml:18:"]
    small.change("templates.yaml", 'id: e1, text: "On', 'id: e2, text: "On')
    small.change("signals.csv", "Ben,North,man,common", "Ben,North,men,common")
    told = refused(small)
    assert [line.split("/")[-1].split(" ")[0] for line in told] == [
        "signals.csv:3:",
        *["study.yaml:19:"] * 3,
    ]


def test_weights_by_target_need_targets(small: SmallStudy) -> None:
    text = (small.folder / "templates.yaml").read_text(encoding="utf-8")
    small.write("templates.yaml", text.replace(", target: South", "").replace(", target: East", ""))
    small.change("study.yaml", "  level: 0.95", "  weights: {shares: {South: 1}}")
    [told] = refused(small)
    assert "study.yaml:18: plan: weights: no template of the study has a target" in told


def test_malformed_files_are_told(small: SmallStudy) -> None:
    small.write("signals.csv", SIGNALS_CSV + 'Max,"North,man,rare\n')
    small.write("templates.yaml", "templates: [{id: x")
    told = "\n".join(refused(small))
    assert "signals.csv:14" in told
    assert "templates.yaml:2: not YAML" in told


def test_two_prompts_of_the_same_text_are_one_mistake(small: SmallStudy) -> None:
    small.change(
        "templates.yaml", '"{name} took the bus to [BLANK]."', '"{name} went to the market to buy [BLANK]."'
    )
    told = refused(small)
    assert len(told) == 1
    assert "same text: 'Anna went to the market to buy [BLANK].', and 12 more" in told[0]


def test_one_group_is_no_comparison(small: SmallStudy) -> None:
    small.write("signals.csv", "name,group\nAnna,North\nBen,North\n")
    assert "a gap needs a reference and at least one other group" in refused(small)[0]


def test_few_names_and_harsh_words_are_warned_of(small: SmallStudy) -> None:
    small.write("signals.csv", "name,group\nAnna,North\nBen,North\nEma,South\n")
    small.change("templates.yaml", "took the bus to", "took the stupid bus to")
    warnings = build_design(small.open()).warnings
    assert "template s2: its own words are on the lexicon of harm: stupid" in warnings
    assert any(warning.startswith("group South: only 1 signal;") for warning in warnings)
    assert any(warning.startswith("group North: only 2 signals;") for warning in warnings)
