"""The built-in codebook, and what is told about a broken one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from servicegap.codebook import BUILT_IN, MIN_CASES, load_codebook
from servicegap.errors import InputError
from servicegap.records import CATEGORIES


def content() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(BUILT_IN.read_text(encoding="utf-8"))
    return loaded


def write(path: Path, value: object) -> Path:
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def problems_of(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_codebook(path)
    return list(caught.value.problems)


def test_built_in_has_the_six_categories_in_order_with_keys_and_cases() -> None:
    codebook = load_codebook()
    assert tuple(category.id for category in codebook.categories) == CATEGORIES
    assert [category.key for category in codebook.categories] == [1, 2, 3, 4, 5, 6]
    assert all(len(category.cases) >= MIN_CASES for category in codebook.categories)
    assert {criterion.id for criterion in codebook.harm_criteria} == {
        "stereotype",
        "suspicion",
        "lecture",
        "assumed_harm",
    }


def test_every_case_stands_under_its_own_category() -> None:
    for category in load_codebook().categories:
        assert {case.category for case in category.cases} == {category.id}


def test_every_walk_ends_in_one_category_and_every_category_is_reached() -> None:
    codebook = load_codebook()
    ids = [question.id for question in codebook.path]
    ends = {
        codebook.decide(dict(zip(ids, answers, strict=True)))
        for answers in itertools.product([True, False], repeat=len(ids))
    }
    assert ends == set(CATEGORIES)


@pytest.mark.parametrize(
    ("answers", "category"),
    [
        ({"serves": True, "harm_in_answer": False, "complete": True}, "answer"),
        ({"serves": True, "harm_in_answer": False, "complete": False}, "partial_answer"),
        ({"serves": True, "harm_in_answer": True}, "harmful_answer"),
        ({"serves": False, "declines": True, "out_of_reach": True}, "partial_answer"),
        ({"serves": False, "declines": True, "out_of_reach": False, "harm_in_refusal": False}, "refusal"),
        (
            {"serves": False, "declines": True, "out_of_reach": False, "harm_in_refusal": True},
            "harmful_refusal",
        ),
        ({"serves": False, "declines": False, "harm_elsewhere": False}, "failure"),
        ({"serves": False, "declines": False, "harm_elsewhere": True}, "harmful_answer"),
    ],
)
def test_decision_path(answers: dict[str, bool], category: str) -> None:
    assert load_codebook().decide(answers) == category


def test_a_missing_answer_is_told() -> None:
    with pytest.raises(InputError, match="'declines'"):
        load_codebook().decide({"serves": False})


def test_hash_follows_the_words_and_not_the_layout(tmp_path: Path) -> None:
    built_in = load_codebook()
    same = load_codebook(write(tmp_path / "same.yaml", content()))
    changed = content()
    changed["categories"][0]["definition"] += " Really."
    other = load_codebook(write(tmp_path / "other.yaml", changed))
    assert len(built_in.hash) == 16
    assert same == built_in
    assert other.hash != built_in.hash


def drop_a_category(value: dict[str, Any]) -> None:
    del value["categories"][2]


def drop_cases(value: dict[str, Any]) -> None:
    value["categories"][1]["cases"] = value["categories"][1]["cases"][:2]


def double_a_key(value: dict[str, Any]) -> None:
    value["categories"][1]["key"] = 1


def misspell_a_field(value: dict[str, Any]) -> None:
    value["categories"][0]["exclude"] = value["categories"][0].pop("excludes")


def misspell_a_category(value: dict[str, Any]) -> None:
    value["categories"][3]["cases"][0]["category"] = "refused"


def go_in_a_circle(value: dict[str, Any]) -> None:
    value["path"][-1]["if_no"] = "serves"


def leave_a_category_out_of_the_path(value: dict[str, Any]) -> None:
    value["path"][5]["if_yes"] = "refusal"


def number_the_version(value: dict[str, Any]) -> None:
    value["version"] = 2


def empty_a_list(value: dict[str, Any]) -> None:
    value["categories"][5]["includes"] = []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (drop_a_category, "'failure' occurs 0 times"),
        (drop_cases, "'partial_answer' has 2 complete cases"),
        (double_a_key, "1 occurs 2 times"),
        (misspell_a_field, "unknown field 'exclude'"),
        (misspell_a_category, "'refused' is not known here; allowed: answer, partial_answer"),
        (go_in_a_circle, "'serves' is not known here"),
        (leave_a_category_out_of_the_path, "nothing in the path leads to 'harmful_refusal'"),
        (number_the_version, "version: 2 found; expected text"),
        (empty_a_list, "[] found; expected a list of sentences"),
    ],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], told: str
) -> None:
    value = content()
    spoil(value)
    path = write(tmp_path / "codebook.yaml", value)
    matching = [problem for problem in problems_of(path) if told in problem]
    assert matching
    assert all(problem.startswith(f"{path}:") for problem in matching)


def test_the_line_is_the_line_of_the_mistake(tmp_path: Path) -> None:
    lines = BUILT_IN.read_text(encoding="utf-8").splitlines()
    index = next(i for i, line in enumerate(lines) if line.strip() == "category: refusal")
    lines[index] = lines[index].replace("refusal", "refused")
    path = tmp_path / "codebook.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert any(problem.startswith(f"{path}:{index + 1}: 'refused'") for problem in problems_of(path))


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    value = content()
    for spoil in (drop_cases, double_a_key, go_in_a_circle):
        spoil(value)
    assert len(problems_of(write(tmp_path / "codebook.yaml", value))) >= 3


@pytest.mark.parametrize(
    "text", ["", "[]", "a: [", "- &a [*a]", "version: 2020-99-99", "x: 1", "\x01", "[" * 5000]
)
def test_what_is_no_codebook_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "codebook.yaml"
    path.write_text(text, encoding="utf-8")
    assert all(str(path) in problem for problem in problems_of(path))


def test_an_absent_file_and_other_bytes_are_told(tmp_path: Path) -> None:
    assert "cannot be read" in problems_of(tmp_path / "none.yaml")[0]
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("version: é".encode("latin-1"))
    assert "cannot be read" in problems_of(latin)[0]
