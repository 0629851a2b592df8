"""Every planned call: its identity and its seed."""

from __future__ import annotations

from conftest import SmallStudy

from servicegap.calls import Call, planned_calls
from servicegap.design import build_design
from servicegap.records import content_hash


def calls(small: SmallStudy, model: str = "m") -> list[Call]:
    study = small.open()
    return list(planned_calls(study, model, build_design(study).prompts))


def test_prompts_x_samples_each_with_its_own_id_and_seed(small: SmallStudy) -> None:
    found = calls(small)
    assert len(found) == 8 * 13 * 2
    assert len({call.id for call in found}) == len({call.seed for call in found}) == len(found)
    assert all(0 <= call.seed < 2**31 for call in found)
    assert {call.attempt for call in found} == {1}


def test_id_and_seed_are_hashes_of_what_makes_the_call(small: SmallStudy) -> None:
    study_seed = str(small.open().plan.seed)
    for call in calls(small):
        assert call.id == content_hash(call.prompt.id, "m", call.settings, str(call.sample))
        assert call.seed == int(content_hash(study_seed, call.prompt.id, str(call.sample))[:8], 16) >> 1


def test_what_was_asked_is_found_again(small: SmallStudy) -> None:
    before = {call.id: call.seed for call in calls(small)}
    assert before == {call.id: call.seed for call in calls(small)}
    small.change("study.yaml", "samples: 2", "samples: 3")
    small.change("study.yaml", "id: default", "id: renamed")
    after = {call.id: call.seed for call in calls(small)}
    assert before.items() < after.items()


def test_another_model_condition_or_prompt_is_another_call(small: SmallStudy) -> None:
    before = {call.id for call in calls(small)}
    assert before.isdisjoint(call.id for call in calls(small, "other"))
    small.change("study.yaml", "Complete the [BLANK].", "Fill the [BLANK].")
    assert before.isdisjoint(call.id for call in calls(small))


def test_conditions_and_models_share_seeds_so_that_they_pair(small: SmallStudy) -> None:
    small.change("study.yaml", "annotators:", "  - {id: bare}\nannotators:")
    found = calls(small)
    seeds = {
        condition: [call.seed for call in found if call.condition.id == condition]
        for condition in ("default", "bare")
    }
    assert seeds["default"] == seeds["bare"]
    assert seeds["default"] == [call.seed for call in calls(small, "other")][: len(seeds["default"])]


def test_another_study_seed_gives_other_seeds_for_the_same_calls(small: SmallStudy) -> None:
    before = {call.id: call.seed for call in calls(small)}
    small.change("study.yaml", "samples: 2", "samples: 2\nseed: 1")
    after = {call.id: call.seed for call in calls(small)}
    assert before.keys() == after.keys()
    assert all(before[call] != after[call] for call in before)
