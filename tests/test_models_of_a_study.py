"""What is told about a study whose models, targets or imported responses do not fit together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer, Ended, SmallStudy

from servicegap.audit import bring_to_analyse, make_study, status
from servicegap.design import build_design
from servicegap.errors import InputError, StudyError
from servicegap.presets import Choices
from servicegap.provenance import changed_models, start_run
from servicegap.store import Store
from servicegap.study import only_one


def run_of(model: str, served: tuple[str, ...] = (), **described: Any) -> dict[str, Any]:
    return {"model": model, "provenance": {"model": described, "served_models": list(served)}}


def test_a_model_whose_file_changed_between_runs_is_told() -> None:
    runs = [run_of("local:m", sha256="aa"), run_of("local:m", sha256="bb"), run_of("local:n", sha256="cc")]
    assert changed_models(runs) == [
        "local:m: its answers come from different files: aa, bb; they are analysed as those of one model"
    ]
    [told] = changed_models([run_of("openai:m", ("m-1",)), run_of("openai:m", ("m-2",))])
    assert "different models named by the server: m-1, m-2" in told
    assert changed_models(runs[1:]) == []


def test_a_server_that_changed_is_a_warning_in_the_results(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, signal, template: Answer())
    study = small.open()
    for port in (1, 2):
        start_run(store, study, study.plan.models[0], {"base_url": f"http://127.0.0.1:{port}/v1"})
    warnings = bring_to_analyse(study, store)["warnings"]
    assert [w for w in warnings if "different servers: http://127.0.0.1:1/v1, http://127.0.0.1:2/v1" in w]


def test_missing_imported_responses_are_nothing_to_collect(
    small: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    small.change("study.yaml", "openai:mock-1\n    base_url: http://127.0.0.1:9/v1", "imported:paper")
    small.answer(store, lambda call, signal, template: Answer() if call.sample == 0 else None)
    stands = status(small.open(), store)
    assert (stands.collected.planned, stands.collected.unasked, stands.stage) == (104, 0, "analyse")
    results = bring_to_analyse(small.open(), store)
    assert [(row["planned"], row["unasked"]) for row in results["collection"]] == [(104, 0)]
    assert not [warning for warning in results["warnings"] if "collect" in warning]
    assert run("collect", small.folder).code == 0


def test_models_that_sample_in_different_ways_are_told(small: SmallStudy) -> None:
    small.change("study.yaml", "models:\n", "models:\n  - id: local:smollm2-135m\n")
    [warning] = build_design(small.open()).warnings
    assert warning.startswith("condition default: without top_k and min_p, local:smollm2-135m leaves out")
    small.change("study.yaml", '"Complete the [BLANK]."}', '"Hi", decoding: {top_k: 0, min_p: 0}}')
    assert build_design(small.open()).warnings == []


def test_a_target_that_is_no_group_is_told_where_it_can_be_a_typo(small: SmallStudy) -> None:
    small.change("templates.yaml", '[BLANK] for lunch.", target: South', '[BLANK] for lunch.", target: Suoth')
    [warning] = build_design(small.open()).warnings
    assert warning.startswith("target 'Suoth' (1 template) is no group of the study; the groups are North,")


def test_built_in_targets_are_not_taken_for_typos(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", Choices(preset="recommended", models=("fake:even",)))
    targets = {template.target for template in build_design(study).templates}
    assert "Native American" in targets
    assert not [warning for warning in build_design(study).warnings if "target" in warning]


@pytest.mark.parametrize("model", ["local:gone.gguf", "local:no-such", "fake:odd", "other:x"])
def test_init_makes_no_study_of_a_model_that_is_none(
    run: Callable[..., Ended], tmp_path: Path, model: str
) -> None:
    for command in ("init", "audit"):
        ended = run(command, tmp_path / "s", "--model", model)
        assert ended.code == 2
        assert model.partition(":")[2] in ended.error
        assert not (tmp_path / "s").exists()


def test_init_asks_for_no_key(
    run: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SERVICEGAP_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert run("init", tmp_path / "s", "--model", "openai:m").code == 0
    with pytest.raises(InputError, match="needs a key"):
        make_study(tmp_path / "t", Choices(models=("openai:m",)))


@pytest.mark.parametrize("group", [(), ("models",)])
def test_without_a_command_the_help_is_shown(run: Callable[..., Ended], group: tuple[str, ...]) -> None:
    ended = run(*group)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: servicegap")


def test_two_cannot_annotate_at_once(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, signal, template: Answer())
    with only_one(small.open(), "annotator"), pytest.raises(StudyError, match="another annotator"):
        bring_to_analyse(small.open(), store)


def test_validate_says_which_tokenizer_counted(small: SmallStudy, run: Callable[..., Ended]) -> None:
    ended = run("validate", small.folder, "--json")
    assert json.loads(ended.out)["notes"] == ["no tokenizer could be asked here: openai:mock-1"]
