from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from servicegap.errors import InputError
from servicegap.records import Template
from servicegap.templates import BLANK, BUILT_IN, SLOT, fill, load_templates
from servicegap.templates.checks import flagged_words

TARGETS = ("Muslim", "Black", "Mexican", "Chinese", "Asian", "Jewish", "Native American", "women")
TOXIGEN = load_templates("toxigen")
NEUTRAL = load_templates("neutral")
ALL = [*TOXIGEN, *NEUTRAL]
#: Words that any two sentences may share.
WEAK = "a an and as at because blank by for from has in is it of on s such that the their them to was with"
PILOT = Path(__file__).parents[1] / ".." / "shared" / "data" / "prompts.json"

each_built_in = pytest.mark.parametrize("template", ALL, ids=[template.id for template in ALL])


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_templates(written(tmp_path, text))
    return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]


# The built-in sets


def test_eight_templates_for_each_target_four_of_them_for_the_study() -> None:
    assert Counter(template.target for template in TOXIGEN) == dict.fromkeys(TARGETS, 8)
    marked = Counter(template.target for template in TOXIGEN if template.study)
    assert marked == dict.fromkeys(TARGETS, 4)


def test_the_neutral_set_has_no_stereotype() -> None:
    assert len(NEUTRAL) == 16
    assert {(template.target, template.stereotype, template.study) for template in NEUTRAL} == {
        (None, None, False)
    }
    assert all(template.id.startswith("neutral-") for template in NEUTRAL)


def test_ids_and_texts_are_unique() -> None:
    assert len({template.id for template in ALL}) == len(ALL)
    assert len({template.text.casefold() for template in ALL}) == len(ALL)


def test_openings_and_blanks_vary() -> None:
    openings = Counter(" ".join(template.text.split()[:2]) for template in ALL)
    assert openings.most_common(1)[0][1] <= 4
    at_end = sum(template.text.endswith(f"{BLANK}.") for template in ALL)
    assert at_end <= 0.6 * len(ALL)


@each_built_in
def test_built_in_fields(template: Template) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", template.id)
    assert template.task == "completion"
    assert template.source
    if template.target:
        assert template.id.startswith(f"{template.target.lower().replace(' ', '-')}-")
        assert template.stereotype
        assert re.match(r"(the|mockery) ", template.stereotype)
        assert template.source.startswith("ToxiGen (Hartvigsen et al. 2022): ")


@each_built_in
def test_built_in_text_is_one_tidy_sentence(template: Template) -> None:
    text = template.text
    assert text.count(SLOT) == text.count(BLANK) == 1
    assert text[0].isupper() or text.startswith((SLOT, BLANK))
    assert text.endswith(".")
    assert not re.search(r"[.!?;:]", text[:-1])
    assert " ".join(text.split()) == text
    assert text.isascii()
    assert 40 <= len(text) <= 120


@each_built_in
def test_built_in_text_fits_any_name_and_someone(template: Template) -> None:
    text = template.text
    gendered = r"(?i)\b(he|she|him|his|hers?|himself|herself|mr|mrs|ms|man|woman|men|women|husband|wife)\b"
    assert not re.search(gendered, text)
    possessive_or_apposition = r"\{name\}(['’]|, (an?|the|who|whose|which)\b)"
    assert not re.search(possessive_or_apposition, text)
    described = r"(?i)\b(an?|the|this|that|my|your|our|their|old|young|little|poor|dear) \{name\}"
    assert not re.search(described, text.replace("that {name}", ""))  # "that" joins clauses here
    plural_verb = r"\{name\} (are|were|have|do|go|work|want|get|take|keep|live|don't)\b"
    assert not re.search(plural_verb, text)


@each_built_in
def test_built_in_text_names_no_group_and_no_harm(template: Template) -> None:
    groups = (
        r"(?i)\b(muslim|islam|arab|black|african|mexic|latin|hispanic|chin|asia|jew|israel|nativ|indian|"
        r"immigr|foreign|white)"
    )
    assert not re.search(groups, template.text)
    assert flagged_words(template.text) == []


@pytest.mark.parametrize(
    "signal", ["someone", "Mohammed", "Xochitl", "李", "Nguyễn Thị", "محمد", "O'Neil", "{name}"]
)
def test_only_the_slot_changes(signal: str) -> None:
    for template in ALL:
        before, after = template.text.split(SLOT)
        filled = fill(template.text, signal)
        assert filled.startswith(before)
        assert filled.endswith(after)
        put_in = filled[len(before) : len(filled) - len(after)]
        assert put_in == (signal if before else signal[0].upper() + signal[1:])


@pytest.mark.skipif(not PILOT.exists(), reason="../shared/data/prompts.json is absent")
def test_no_sentence_of_the_pilot_is_copied() -> None:
    pilot = [text for texts in json.loads(PILOT.read_text(encoding="utf-8")).values() for text in texts]
    words = {tuple(re.findall(r"[a-z]+", text.lower().replace("[name]", ""))) for text in pilot}
    ours = {tuple(re.findall(r"[a-z]+", template.text.lower().replace(SLOT, ""))) for template in ALL}
    assert len(words) == len(pilot)
    assert not words & ours
    shared = [set(one) & set(other) - set(WEAK.split()) for one in words for other in ours]
    assert max(map(len, shared)) <= 3


# Filling


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{name} ran.", "Someone ran."),
        ("Now {name} ran.", "Now someone ran."),
        ("It rained. {name} ran.", "It rained. Someone ran."),
        ("Really?! {name} ran.", "Really?! Someone ran."),
        ('He said: "Run!" {name} ran.', 'He said: "Run!" Someone ran.'),
        ("“{name} ran,” they said.", "“Someone ran,” they said."),
        ("¿{name}?", "¿Someone?"),
        ("At 3.{name} ran, at 4, {name} sat.", "At 3.someone ran, at 4, someone sat."),
        ("Dear all,\n{name} ran.\n\n{name} sat.", "Dear all,\nsomeone ran.\n\nSomeone sat."),
        ("no slot", "no slot"),
        ("{name}{name}", "Someonesomeone"),
    ],
)
def test_capitals_open_sentences(text: str, filled: str) -> None:
    assert fill(text, "someone") == filled


@pytest.mark.parametrize(
    ("signal", "opening"),
    [
        ("iman", "Iman"),
        ("élodie", "Élodie"),
        ("李", "李"),
        ("محمد", "محمد"),
        ("ნინო", "ნინო"),
        ("ß", "ß"),
        ("ŉ", "ŉ"),
        ("", ""),
        ("'Ana", "'Ana"),
    ],
)
def test_the_first_letter_follows_its_script(signal: str, opening: str) -> None:
    assert fill("{name} ran and {name} sat.", signal) == f"{opening} ran and {signal} sat."


def test_a_signal_is_not_read_as_text() -> None:
    assert fill("Then {name} ran, {name} sat.", "Jr. {name}") == "Then Jr. {name} ran, Jr. {name} sat."
    assert fill("Then {name} {name} sat.", "x.") == "Then x. x. sat."


@given(st.text(), st.text(), st.text(min_size=1))
def test_filling_keeps_the_text_around_the_slot(before: str, after: str, signal: str) -> None:
    before, after = before.replace(SLOT, ""), after.replace(SLOT, "")
    if (before + SLOT + after).count(SLOT) > 1:
        return
    filled = fill(before + SLOT + after, signal)
    assert len(filled) == len(before) + len(signal) + len(after)
    assert filled.startswith(before)
    assert filled.endswith(signal[1:] + after)


# A user's own file


def test_id_and_text_are_enough(tmp_path: Path) -> None:
    path = written(tmp_path, 'templates:\n  - id: a\n    text: " {name} ate [BLANK]. "\n')
    assert load_templates(path) == load_templates(str(path)) == [Template(id="a", text="{name} ate [BLANK].")]


def test_other_tasks_scripts_and_braces(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "description: mine\n"
        "licence: CC0\n"
        "templates:\n"
        "  - id: Präfix_1.b\n"
        "    task: writing\n"
        "    target: teachers\n"
        "    text: |\n"
        "      Write to {name}, and sign with {name}.\n"
        '      Answer as {"letter": "..."}.\n'
        "  - {id: 道, text: '{name}去了[BLANK]。'}\n",
    )
    assert load_templates(path) == [
        Template(
            id="Präfix_1.b",
            text='Write to {name}, and sign with {name}.\nAnswer as {"letter": "..."}.',
            task="writing",
            target="teachers",
        ),
        Template(id="道", text="{name}去了[BLANK]。"),
    ]


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "templates:\n"
        "  - id: a\n"
        '    text: "Nobody ate [BLANK]."\n'
        "  - id: b\n"
        '    text: "{name} went to {city} with {{ name }} and {}."\n'
        "  - id: a\n"
        "    txt: hello\n"
        "  - id: not ok\n"
        '    text: " "\n'
        "  - id: 7\n"
        "    text: {name}\n"
        '    study: "often"\n'
        "  - id: c\n"
        '    text: "{name} [BLANK] [BLANK]"\n'
        "    target: ''\n"
        "  - hello\n"
        "  - id: a\n"
        "    task: advice\n"
        '    text: "[NAME] asks."\n'
        "Templates: []\n",
    )
    assert told == [
        'mine.yaml:3: templates[0].text: "Nobody ate [BLANK].": '
        "must have the slot {name} where the signal goes",
        'mine.yaml:5: templates[1].text: "{name} went to {city} with {{ name }} and {}.": '
        "unknown slot {city}, {{ name }}, {}; {name} is the only slot that is allowed; "
        "must have [BLANK] exactly once, has it 0 times; a text without a blank needs another task",
        'mine.yaml:6: templates[2].id: "a": is the id of the template on line 2 too; rename one of them',
        "mine.yaml:6: templates[2].text: is required and missing; add it",
        "mine.yaml:7: templates[2].txt: unknown key; did you mean text?; "
        "allowed: id, task, text, stereotype, target, source, study",
        "mine.yaml:8: templates[3].id: \"not ok\": must be letters, digits, '-', '_' and '.', "
        "and begin with a letter or a digit",
        'mine.yaml:9: templates[3].text: " ": must not be empty; write a sentence with {name}',
        "mine.yaml:10: templates[4].id: 7: must be a text (put it in quotes)",
        'mine.yaml:11: templates[4].text: {"name": null}: must be a text (put it in quotes)',
        'mine.yaml:12: templates[4].study: "often": must be true or false',
        'mine.yaml:14: templates[5].text: "{name} [BLANK] [BLANK]": '
        "must have [BLANK] exactly once, has it 2 times; a text without a blank needs another task",
        'mine.yaml:15: templates[5].target: "": must have at least 1 characters',
        "mine.yaml:16: templates[6]: \"hello\": must be a mapping (lines of the form 'key: value')",
        'mine.yaml:17: templates[7].id: "a": is the id of the template on line 2 too; rename one of them',
        'mine.yaml:19: templates[7].text: "[NAME] asks.": must have the slot {name} where the signal goes',
        "mine.yaml:20: Templates: unknown key; did you mean templates?; "
        "allowed: description, licence, templates",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "mine.yaml:1: templates: is required and missing; add it"),
        ("# nothing\n\ndescription: x\n", "mine.yaml:3: templates: is required and missing; add it"),
        ("templates:\n", "mine.yaml:1: templates: null: must be a list (lines that begin with '- ')"),
        ("templates: []\n", "mine.yaml:1: templates: []: must have at least 1 entries, has 0"),
        ("templates: {id: a}\n", 'mine.yaml:1: templates: {"id": "a"}: must be a list'),
        ("hello\n", 'mine.yaml:1: "hello": must be a mapping'),
        ("templates:\n  - id: a\n    text: {name} ate [BLANK].\n", "mine.yaml:3: not YAML: "),
    ],
)
def test_a_file_without_templates(tmp_path: Path, text: str, told: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(told)


def test_an_unknown_set_names_the_built_in_ones(tmp_path: Path) -> None:
    for source in ("toxgen", str(tmp_path / "none.yaml"), Path("toxigen")):
        with pytest.raises(InputError, match=r"no such file, .* built in are toxigen and neutral"):
            load_templates(source)


@pytest.mark.parametrize("name", BUILT_IN)
def test_round_trip(tmp_path: Path, name: str) -> None:
    templates = load_templates(name)
    text = yaml.safe_dump({"templates": [asdict(template) for template in templates]}, allow_unicode=True)
    assert load_templates(written(tmp_path, text)) == templates


def test_reading_is_quick() -> None:
    took = []
    for _ in range(5):
        start = time.perf_counter()
        load_templates("toxigen")
        took.append(time.perf_counter() - start)
    assert min(took) < 0.25  # about 0.01 s; ten times that with the slow parser


# Flagged words


@pytest.mark.parametrize(
    ("text", "flagged"),
    [
        ("{name} killed the bug in the program, and KILLED it again.", ["killed"]),
        ("A stupid, STUPID bomb: it was ugly.", ["stupid", "bomb", "ugly"]),
        ("The skilled classmate assembled a begonia.", []),
        ("{name} and [BLANK].", []),
        ("", []),
    ],
)
def test_flagged_words(text: str, flagged: list[str]) -> None:
    assert flagged_words(text) == flagged


def test_the_lexicon_lists_whole_lower_case_words_once() -> None:
    path = Path(__file__).parents[1] / "src" / "servicegap" / "templates" / "lexicon.txt"
    lines = [line.partition("#")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    words = [word for line in lines for word in line.split()]
    assert len(words) > 200
    assert Counter(words).most_common(1)[0][1] == 1
    assert all(re.fullmatch("[a-z]+", word) for word in words)
    assert all(flagged_words(f"It is {word}.") == [word] for word in words)
