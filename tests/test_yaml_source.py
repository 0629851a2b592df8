from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servicegap import yaml_source
from servicegap.errors import InputError
from servicegap.yaml_source import YamlSource, read_yaml, validate


class Decoding(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    temperature: Annotated[float, pydantic.Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, pydantic.Field(ge=1)] = 64


class Plan(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    preset: Literal["quick", "study", "recommended"]
    models: list[str] = []
    shown: bool = True
    conditions: dict[str, Decoding] = {}
    decoding: list[Decoding] | Decoding = []
    samples: int | list[int] = 1

    @pydantic.field_validator("models")
    @classmethod
    def _kinds(cls, models: list[str]) -> list[str]:
        if "gpt" in models:
            raise ValueError("must begin with openai:, local: or fake:")
        return models


def source(tmp_path: Path, text: str | bytes) -> YamlSource:
    path = tmp_path / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


def problems(tmp_path: Path, text: str | bytes) -> list[str]:
    """What is wrong with a plan, without the folder in front of the file's name."""
    with pytest.raises(InputError) as caught:
        validate(Plan, source(tmp_path, text))
    return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_data_and_lines(tmp_path: Path) -> None:
    read = source(
        tmp_path,
        "# a comment\n"
        "preset: quick\n"
        "\n"
        "models:\n"
        "  - local:a\n"
        "  -\n"
        "    local:b\n"
        "conditions:\n"
        "  plain: {temperature: 0,\n"
        "          max_tokens: 8}\n"
        "  1: {}\n"
        "text: >\n"
        "  two\n"
        "  lines\n"
        "date: 2024-05-01\n",
    )
    assert read.data == {
        "preset": "quick",
        "models": ["local:a", "local:b"],
        "conditions": {"plain": {"temperature": 0, "max_tokens": 8}, 1: {}},
        "text": "two lines\n",
        "date": datetime.date(2024, 5, 1),
    }
    lines = {
        (): 2,
        ("preset",): 2,
        ("models",): 4,
        ("models", 0): 5,
        ("models", 1): 7,
        ("conditions", "plain"): 9,
        ("conditions", "plain", "max_tokens"): 10,
        ("conditions", 1): 11,
        ("text",): 12,
        ("date",): 15,
    }
    assert {loc: read.line(loc) for loc in lines} == lines


def test_a_path_to_nothing_has_the_line_of_what_is_around_it(tmp_path: Path) -> None:
    read = source(tmp_path, "a: 1\nb:\n  - c: 1\n    d: 2\n")
    assert read.line(("b", 0, "nothing", 3)) == 3
    assert read.line(("b", 7)) == 2
    assert read.line(("nothing",)) == 1
    assert read.line(("a", "deeper")) == 1


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
def test_an_empty_file_has_no_data(tmp_path: Path, text: str) -> None:
    read = source(tmp_path, text)
    assert read.data is None
    assert read.line(("a", 0)) == 1


def test_aliases_and_merged_keys(tmp_path: Path) -> None:
    read = source(tmp_path, "base: &base\n  a: 1\n  b: 2\nmore:\n  <<: *base\n  b: 3\nlist: [*base, *base]\n")
    assert read.data["more"] == {"a": 1, "b": 3}
    assert read.data["list"] == [{"a": 1, "b": 2}] * 2
    assert read.line(("more", "a")) == 2
    assert read.line(("more", "b")) == 6


def test_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    read = source(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\n")
    assert read.data == {"a": 1, "b": "é"}
    assert read.line(("b",)) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\n a: 3\n", "study.yaml:3: not YAML: mapping values are not allowed"),
        ("a: 1\nb: {name} went\n", "study.yaml:2: not YAML: while parsing a block mapping"),
        ("a: 'open\n", "study.yaml:2: not YAML: while scanning a quoted scalar"),
        ("a: *nothing\n", "study.yaml:1: not YAML: found undefined alias"),
        ("a: 1\n---\na: 2\n", "study.yaml:2: not YAML: expected a single document"),
        ("a: 1\nb: \x00\n", "study.yaml:2: the character U+0000 is not allowed in YAML"),
        (b"a: 1\nb: caf\xe9\n", "study.yaml:2: byte 0xe9 is not UTF-8"),
        ("a: 1\nb: &x [*x]\n", "study.yaml:2: an alias that contains itself"),
        ("a: 1\nb: 2024-13-45\n", 'study.yaml:2: "2024-13-45" cannot be read as timestamp; put it in quotes'),
        ("a: 1\nb: !!python/name:os.system\n", "study.yaml:2: not YAML: could not determine a constructor"),
        ("a: 1\nb: !!set {x}\n", "study.yaml:2: the tag tag:yaml.org,2002:set is not allowed"),
        ("? [a, b]\n: 1\n", "study.yaml:1: a key has to be a text"),
        ("a: " + "[" * 200 + "]" * 200, "study.yaml:1: nested too deeply; at most 100"),
        ("[" * 50_000, "study.yaml:1: not YAML: while increasing flow level, exceeded maximum nesting"),
    ],
)
def test_what_is_not_plain_yaml(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(InputError) as caught:
        source(tmp_path, text)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"{tmp_path}/{told}")
    assert "\n" not in str(caught.value)


def test_without_the_c_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_source, "_Loader", yaml.SafeLoader)
    assert source(tmp_path, "a: [1, {b: c}]\n").data == {"a": [1, {"b": "c"}]}
    with pytest.raises(InputError, match="nested too deeply"):
        source(tmp_path, "[" * 5_000 + "]" * 5_000)


def test_every_repeated_key_is_told_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        source(tmp_path, "a: 1\nb: 1\na: 2\nc:\n  - d: 1\n    d: 2\n")
    assert [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems] == [
        'study.yaml:3: the key "a" is on line 1 too; keep one of them',
        'study.yaml:6: the key "d" is on line 5 too; keep one of them',
    ]


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(InputError, match=r"study.yaml:7: more than 1,000,000 values"):
        source(tmp_path, "\n".join(["a0: &a0 [x]", *levels]))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputError) as caught:
            read_yaml(path)
        assert str(caught.value).startswith(f"{path}: cannot be read (")


def test_a_valid_file(tmp_path: Path) -> None:
    plan = validate(Plan, source(tmp_path, "preset: quick\nconditions:\n  plain:\n    temperature: 0.5\n"))
    assert plan == Plan(preset="quick", conditions={"plain": Decoding(temperature=0.5)})


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "preset: quik\n"
        "model: [a]\n"
        "models: [gpt]\n"
        "shown: maybe\n"
        "conditions:\n"
        "  plain:\n"
        "    temprature: 0\n"
        "    max_tokens: 0\n"
        "  hot:\n"
        "    temperature: 9\n"
        "    max_tokens: many\n"
        "samples: few\n",
    )
    assert told == [
        "study.yaml:1: preset: \"quik\": must be 'quick', 'study' or 'recommended'; did you mean quick?",
        "study.yaml:2: model: unknown key; did you mean models?; "
        "allowed: preset, models, shown, conditions, decoding, samples",
        'study.yaml:3: models: ["gpt"]: must begin with openai:, local: or fake:',
        'study.yaml:4: shown: "maybe": must be true or false',
        "study.yaml:7: conditions.plain.temprature: unknown key; did you mean temperature?; "
        "allowed: temperature, max_tokens",
        "study.yaml:8: conditions.plain.max_tokens: 0: must be at least 1",
        "study.yaml:10: conditions.hot.temperature: 9: must be at most 2",
        'study.yaml:11: conditions.hot.max_tokens: "many": must be a whole number',
        'study.yaml:12: samples: "few": must be a whole number or '
        "must be a list (lines that begin with '- ')",
    ]


def test_missing_keys_and_wrong_kinds(tmp_path: Path) -> None:
    assert problems(tmp_path, "") == ["study.yaml:1: preset: is required and missing; add it"]
    assert problems(tmp_path, "- a\n- b\n") == [
        'study.yaml:1: ["a", "b"]: must be a mapping (lines of the form \'key: value\')'
    ]
    assert problems(tmp_path, "preset: study\n\nmodels:\n  - ok\n  - 3\n  - {name}\n") == [
        "study.yaml:5: models[1]: 3: must be a text (put it in quotes)",
        'study.yaml:6: models[2]: {"name": null}: must be a text (put it in quotes)',
    ]


def test_the_value_of_an_unknown_key_is_not_shown(tmp_path: Path) -> None:
    told = problems(tmp_path, "preset: study\napi_key: sk-0123456789\n")
    assert len(told) == 1
    assert "api_key: unknown key" in told[0]
    assert "sk-" not in told[0]


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    told = problems(tmp_path, f"preset: {'x' * 500}\n")
    assert "x" * 50 in told[0]
    assert "x" * 60 not in told[0]


def test_unknown_key_inside_a_union_lists_the_keys_of_the_model_there(tmp_path: Path) -> None:
    told = problems(tmp_path, "preset: study\ndecoding:\n  - max_token: 3\n")
    assert "study.yaml:3: decoding[0].max_token: unknown key; did you mean max_tokens?" in told[0]


def test_mistakes_found_elsewhere_are_told_together(tmp_path: Path) -> None:
    read = source(tmp_path, "preset: quick\nmodels: [a]\nshown: 7\n")
    with pytest.raises(InputError) as caught:
        validate(Plan, read, also=[(("models", 0), "no such model")])
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["2", "3"]
    valid = source(tmp_path, "preset: quick\n")
    with pytest.raises(InputError, match=r"study.yaml:1: preset: not today"):
        validate(Plan, valid, also=[(("preset",), "not today")])


# Without the rarer line breaks: PyYAML writes them bare and reads them back as a space.
words = st.text(st.characters(exclude_characters="\x85\u2028\u2029", codec="utf-8"), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


def places(data: Any) -> list[tuple[str | int, ...]]:
    inside: list[tuple[str | int, Any]] = []
    if isinstance(data, dict):
        inside = list(data.items())
    elif isinstance(data, list):
        inside = list(enumerate(data))
    return [(), *((part, *rest) for part, value in inside for rest in places(value))]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plain)
def test_data_is_that_of_safe_load_and_lines_never_fall_back(tmp_path: Path, data: Any) -> None:
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, default_flow_style=False)
    read = source(tmp_path, text)
    assert read.data == yaml.safe_load(text) == data
    lines = [read.line(loc) for loc in places(data)]
    assert lines == sorted(lines)
    assert lines[-1] <= text.count("\n")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40) | st.text("ab:- \n[]{}&*!#'\"?|>%@`\t<,~1", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_told_in_one_line(tmp_path: Path, raw: bytes) -> None:
    try:
        read = source(tmp_path, raw)
    except InputError as error:
        assert error.problems
        assert all("study.yaml" in problem and "\n" not in problem for problem in error.problems)
    else:
        assert read.line() >= 1


def test_a_thousand_entries_take_under_a_second(tmp_path: Path) -> None:
    entry = {"id": "a", "text": "{name} [BLANK].", "stereotype": "x" * 80}
    text = yaml.safe_dump({"templates": [entry] * 1000})
    start = time.perf_counter()
    read = source(tmp_path, json.dumps(yaml.safe_load(text)))
    assert read.line(("templates", 999, "text")) == 1
    assert time.perf_counter() - start < 5
