"""The built-in plans: how many calls they ask, and that what they write is what is read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from servicegap.audit import checked_design
from servicegap.calls import Design, planned_calls
from servicegap.design import build_design
from servicegap.errors import InputError, StudyError
from servicegap.presets import PRESETS, SYSTEM_PROMPT, Choices, create_study
from servicegap.study import JudgePlan, LabellingPlan, Study, open_study


def made(folder: Path, **choices: object) -> tuple[Study, Design]:
    study = create_study(folder, Choices(**choices))  # type: ignore[arg-type]
    return study, build_design(study)


def calls(study: Study, design: Design) -> int:
    return sum(1 for model in study.plan.models for _ in planned_calls(study, model.id, design.prompts))


def sizes(design: Design) -> Counter[str | None]:
    return Counter(signal.group for signal in design.signals)


def test_quick_is_240_calls(tmp_path: Path) -> None:
    study, design = made(tmp_path / "s")
    assert calls(study, design) == 240
    assert sizes(design) == {"White": 8, "Muslim": 8, "Chinese": 8}
    assert Counter(template.target for template in design.templates) == {"Muslim": 5, "Chinese": 5}
    assert study.plan.models[0].id == "local:qwen2.5-coder-0.5b"
    assert study.plan.conditions[0].decoding.max_tokens == 48
    assert study.plan.plan.reference == "White"


def test_study_is_the_published_design(tmp_path: Path) -> None:
    study, design = made(tmp_path / "s", preset="study")
    assert len(design.prompts) == 1792
    assert calls(study, design) == 5376
    assert len(sizes(design)) == 7
    assert set(sizes(design).values()) == {8}
    assert len(design.templates) == 32
    assert set(Counter(template.target for template in design.templates).values()) == {4}
    condition = study.plan.conditions[0].record()
    assert condition.system == SYSTEM_PROMPT
    assert condition.decoding.temperature is condition.decoding.top_p is condition.decoding.top_k is None


def test_recommended_has_24_names_64_templates_neutral_ones_and_the_control(tmp_path: Path) -> None:
    study, design = made(tmp_path / "s", preset="recommended")
    assert sizes(design) == Counter([None, *[*PRESETS["study"].groups] * 24])
    assert sum(template.target is not None for template in design.templates) == 64
    assert sum(template.target is None for template in design.templates) == 16
    assert calls(study, design) == (7 * 24 + 1) * (64 + 16)


@pytest.mark.parametrize("preset", PRESETS)
def test_names_are_balanced_and_nothing_is_amiss(tmp_path: Path, preset: str) -> None:
    _, design = made(tmp_path / "s", preset=preset)
    assert design.warnings == []
    named = [signal for signal in design.signals if signal.group]
    for group in sizes(design).keys() - {None}:
        own = [signal for signal in named if signal.group == group]
        assert Counter(signal.gender for signal in own) == {"woman": len(own) // 2, "man": len(own) // 2}
        assert Counter(signal.commonness for signal in own) == {
            "common": len(own) // 2,
            "rare": len(own) // 2,
        }


def test_a_smaller_choice_is_part_of_a_larger_one(tmp_path: Path) -> None:
    _, four = made(tmp_path / "4", names_per_group=4)
    _, eight = made(tmp_path / "8", names_per_group=8)
    assert {prompt.id for prompt in four.prompts} < {prompt.id for prompt in eight.prompts}


def test_choices_are_written_into_the_plan(tmp_path: Path) -> None:
    study, design = made(
        tmp_path / "s",
        models=("openai:a", "fake:uneven"),
        base_url="http://127.0.0.1:8000/v1",
        samples=2,
        names_per_group=3,
    )
    assert [(model.id, model.base_url) for model in study.plan.models] == [
        ("openai:a", "http://127.0.0.1:8000/v1"),
        ("fake:uneven", None),
    ]
    assert calls(study, design) == 2 * 2 * 3 * 3 * 10
    text = (tmp_path / "s" / "study.yaml").read_text()
    assert text.count("#") > 10


def commented_out(text: str) -> list[str]:
    """Give the parts that are commented out: what stands from "# KEY:" to the next empty line."""
    return re.findall(r"^# \w+:.*\n(?:#.*\n)*", text, flags=re.MULTILINE)


def example(text: str, key: str) -> str:
    [found] = [part for part in commented_out(text) if part.startswith(f"# {key}:")]
    return found


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_commented_out_is_valid(tmp_path: Path, preset: str) -> None:
    before, _ = made(tmp_path / "s", preset=preset)
    path = tmp_path / "s" / "study.yaml"
    text = path.read_text(encoding="utf-8")
    assert (before.plan.judges, before.plan.labelling) == ((), LabellingPlan())
    for part in (example(text, "judges"), example(text, "labelling"), "  # margin: 0.05"):
        assert text.count(part) == 1
        text = text.replace(part, re.sub("^( *)# ", r"\1", part, flags=re.MULTILINE))
    path.write_text(text, encoding="utf-8")
    study = open_study(tmp_path / "s")
    checked_design(study, to_run=False)
    assert study.plan.judges == (JudgePlan(id="openai:gpt-x"),)
    assert study.plan.plan.margin == 0.05
    assert study.plan.models == before.plan.models


def test_the_example_of_labelling_says_what_holds_anyway(tmp_path: Path) -> None:
    made(tmp_path / "s")
    text = (tmp_path / "s" / "study.yaml").read_text(encoding="utf-8")
    written = yaml.safe_load(re.sub("^# ", "", example(text, "labelling"), flags=re.MULTILINE))["labelling"]
    assert len(written) > 5
    defaults = LabellingPlan().model_dump()
    assert written["sample"] == defaults["sample"]
    assert written.items() <= defaults.items()
    assert LabellingPlan(**written) == LabellingPlan()


def test_only_local_models_are_sent_what_openai_refuses(tmp_path: Path) -> None:
    local, _ = made(tmp_path / "l")
    other, _ = made(tmp_path / "o", models=("openai:a",))
    assert local.plan.conditions[0].decoding.top_k == 0
    assert other.plan.conditions[0].decoding.top_k is None


@pytest.mark.parametrize("name", ["a: b # c", 'quote"d', "ключ 研究", "- list", "{x}", "null"])
def test_any_folder_name_is_a_title(tmp_path: Path, name: str) -> None:
    study, _ = made(tmp_path / name)
    assert study.plan.title == name


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    made(tmp_path / "s", samples=2)
    with pytest.raises(StudyError, match=r"study.yaml: there already; choose another folder, or edit"):
        made(tmp_path / "s")
    assert "samples: 2" in (tmp_path / "s" / "study.yaml").read_text()


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"preset": "quik"}, "preset 'quik' is unknown; allowed: quick, study, recommended"),
        ({"models": ("a:b", "a:b")}, "a:b is there twice"),
        ({"models": ("",)}, "models[0].id"),
        ({"base_url": "http://me:s3cret@x/v1"}, "goes with a model openai:NAME"),
        (
            {"base_url": "http://x/v1?api-key=s3cret", "models": ("fake:even",)},
            "goes with a model openai:NAME; the models are fake:even;",
        ),
    ],
)
def test_a_choice_that_is_not_allowed_leaves_nothing(
    tmp_path: Path, choices: dict[str, object], told: str
) -> None:
    with pytest.raises(InputError) as error:
        made(tmp_path / "s", **choices)
    assert told in str(error.value)
    assert "s3cret" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(InputError, match="s: is a file; choose another name"):
        made(tmp_path / "s")
    assert (tmp_path / "s").read_text() == "mine"
