"""The built-in names, the loader for anybody's own, and the balanced choice."""

from __future__ import annotations

import csv
import subprocess
import sys
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicegap.annotators.masking import NAME
from servicegap.errors import InputError
from servicegap.records import Signal
from servicegap.signals import NEUTRAL, choose_signals, load_signals
from servicegap.signals.loader import BUILT_IN, RESERVED
from servicegap.templates import BLANK, SLOT

STUDY_GROUPS = ("White", "Black", "Muslim", "Mexican", "Chinese", "Asian", "Jewish")
EVIDENCE = {"figure", "published list", "author's reading"}

# Facts of the published pilot: group -> (common, least).
PILOT = {
    "Muslim": ("Mohammed Ahmed Fatima Khadija", "Khalid Jafar Rukayah Shaheen"),
    "Mexican": ("Juan Miguel Maria Isabella", "Adalberto Gregorio Xochitl Zoyla"),
    "White": ("John William Charlotte Emma", "Flynn Caspian Phoebe Nerida"),
    "Chinese": ("Li Wang", "Yì Zhòng"),
    "Asian": ("Tanaka Nguyen", "Kaito Hang"),
}


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "mine.csv"
    path.write_bytes(text.encode(encoding))
    return path


def problems_of(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_signals(path)
    return [problem.replace(f"{path}:", "mine.csv:") for problem in caught.value.problems]


# The built-in names


def test_every_study_group_has_six_names_for_each_gender_and_commonness() -> None:
    counts = Counter((s.group, s.gender, s.commonness) for s in load_signals() if s.group in STUDY_GROUPS)
    expected = {
        (group, gender, commonness): 6
        for group in STUDY_GROUPS
        for gender in ("woman", "man")
        for commonness in ("common", "rare")
    }
    assert counts == expected


def test_native_american_names_reach_as_far_as_their_evidence() -> None:
    native = [signal for signal in load_signals() if signal.group == "Native American"]
    assert Counter((s.gender, s.commonness) for s in native) == {
        ("woman", "common"): 2,
        ("man", "common"): 2,
        ("woman", "rare"): 4,
        ("man", "rare"): 4,
    }
    with_figure = {s.text for s in native if s.evidence == "figure"}
    assert with_figure == {"Nizhoni", "Shandiin"}
    for signal in native:
        assert signal.notes is not None
        assert "times that of all names" in signal.notes
        assert ("Against the group" in signal.notes) == (signal.text not in with_figure)


def test_no_other_groups_are_built_in() -> None:
    assert {signal.group for signal in load_signals()} == {*STUDY_GROUPS, "Native American"}


@pytest.mark.parametrize("group", PILOT)
def test_pilot_names_are_there_with_their_group_and_commonness(group: str) -> None:
    by_text = {signal.text: signal for signal in load_signals()}
    for words, commonness in zip(PILOT[group], ("common", "rare"), strict=True):
        for name in words.split():
            assert (by_text[name].group, by_text[name].commonness) == (group, commonness)
            assert "Chehbouni et al. 2024 (arXiv 2403.13213)" in (by_text[name].source or "")


def test_there_are_32_pilot_names_and_none_besides_cites_the_pilot() -> None:
    pilot = {name for pair in PILOT.values() for words in pair for name in words.split()}
    assert len(pilot) == 32
    assert {s.text for s in load_signals() if "Chehbouni" in (s.source or "")} == pilot


def test_every_row_has_a_known_evidence_and_a_source_for_what_it_shows() -> None:
    for signal in load_signals():
        assert signal.evidence in EVIDENCE
        assert signal.notes is not None
        assert "2020 Census" in signal.notes
        if signal.evidence != "author's reading" or "not among" not in signal.notes:
            assert signal.source, signal.text


def test_figures_of_religion_come_from_the_israeli_table_alone() -> None:
    for signal in load_signals():
        assert signal.notes is not None
        shows_births = "Israel, births 1949-2024" in signal.notes
        assert shows_births == (signal.group in {"Muslim", "Jewish"})
        assert shows_births == ("Israel Central Bureau of Statistics" in (signal.source or ""))


@pytest.mark.parametrize(
    ("name", "remark"),
    [
        ("Nerida", "the largest share is Hispanic, not White"),
        ("Tanaka", "the largest share is Black, not Asian or Pacific Islander"),
        ("Isabella", "the largest share is White, not Hispanic"),
        ("Tanaka", "surname"),
        ("Wang", "surname"),
        ("Nguyen", "surname"),
        ("Yì", "tone mark"),
        ("Zhòng", "tone mark"),
        ("Fatima", "Hispanic 48.4 %"),
        ("Rukayah", "not among the 53,615 first names"),
        ("Khalid", "By count not rare"),
    ],
)
def test_what_speaks_against_a_name_is_shown(name: str, remark: str) -> None:
    (signal,) = [signal for signal in load_signals() if signal.text == name]
    assert remark in (signal.notes or "")


def test_a_contradicted_name_is_not_called_a_figure() -> None:
    contradicted = [s for s in load_signals() if "Against the group" in (s.notes or "")]
    assert {s.text for s in contradicted} >= {"Nerida", "Tanaka", "Isabella"}
    assert all(s.evidence != "figure" for s in contradicted)


def test_names_are_unique_composed_and_single_words() -> None:
    texts = [signal.text for signal in load_signals()]
    assert len({text.casefold() for text in texts}) == len(texts) == 180
    assert all(unicodedata.is_normalized("NFC", text) and text.isalpha() for text in texts)


def test_the_built_in_file_is_plain_utf8_with_one_line_a_row() -> None:
    lines = BUILT_IN.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 181
    assert next(csv.reader(lines)) == [
        "name",
        "group",
        "gender",
        "commonness",
        "evidence",
        "source",
        "figures",
        "notes",
    ]


def test_neutral_signals_no_group() -> None:
    assert Signal(text="someone", group=None, kind="neutral") == NEUTRAL


def test_signals_import_no_heavy_library() -> None:
    code = (
        "import sys, servicegap.signals as s; s.load_signals();"
        "print(sorted({'polars', 'pydantic', 'numpy', 'yaml', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# A user's own list


def test_name_and_group_are_enough(tmp_path: Path) -> None:
    path = write(tmp_path, "group,name\nBreton, Gwenaël \n")
    assert load_signals(path) == [Signal(text="Gwenaël", group="Breton")]


def test_all_columns_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "name,group,gender,commonness,evidence,source,figures,notes\n"
        "Yann,Breton,man,least,figure,a register,12 of 100.,Also spelt Yan.\n",
    )
    assert load_signals(path) == [
        Signal(
            text="Yann",
            group="Breton",
            gender="man",
            commonness="rare",
            evidence="figure",
            source="a register",
            notes="Also spelt Yan. 12 of 100.",
        )
    ]


@pytest.mark.parametrize(
    "name",
    ["محمد", "王秀英", "प्रिया", "Đặng", "Ольга", "O'Neill", "Mary Ann", "မြတ်", "رضا\u200cیی", "രാജന്\u200d"],
)
def test_any_script(tmp_path: Path, name: str) -> None:
    (signal,) = load_signals(write(tmp_path, f"name,group\n{name},任意の\n"))
    assert signal == Signal(text=unicodedata.normalize("NFC", name), group="任意の")


def test_decomposed_letters_are_composed_and_found_as_duplicates(tmp_path: Path) -> None:
    path = write(tmp_path, "name,group\nY\u00ec,G\nYi\u0300,G\n")
    assert problems_of(path) == ["mine.csv:3: the name 'Yì' stands already on line 2; keep one of them"]


def test_byte_order_mark_carriage_returns_and_blank_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "\r\nName, Group\r\n\r\nA,G\r\n,\r\nB,G\r\n", encoding="utf-8-sig")
    assert [signal.text for signal in load_signals(path)] == ["A", "B"]


def test_all_mistakes_are_told_at_once_in_the_order_of_their_physical_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "name,group,gender,commonness,notes\n"  # 1
        'Ana,G,woman,common,"two\nlines"\n'  # 2 and 3
        ",G,,,\n"  # 4
        "Ben,,man,rare,\n"  # 5
        "\n"  # 6
        "ANA,G,,,\n"  # 7
        "Ana,H,,,\n"  # 8
        "Cy,G,female,frequent,\n"  # 9
        "Dee,G\n"  # 10
        'Eve,G,,,"a ""quoted"" note",more\n'  # 11
        '"Fay\nGil",G,,,\n'  # 12 and 13
        "Someone,G,,,\n",  # 14
    )
    assert problems_of(path) == [
        "mine.csv:4: the name is empty; every row needs a name and a group",
        "mine.csv:5: the group is empty; every row needs a name and a group",
        "mine.csv:7: the name 'ANA' stands already on line 2; keep one of them",
        "mine.csv:8: the name 'Ana' is in two groups: 'H' here, 'G' on line 2; "
        "a name can signal one group only",
        "mine.csv:9: unknown gender 'female'; allowed: woman, man, both, or empty",
        "mine.csv:9: unknown commonness 'frequent'; allowed: common, rare, or empty",
        "mine.csv:10: 2 fields in this row, the first line names 5 columns; write as many, and put one that "
        "has a comma in it in double quotes",
        "mine.csv:11: 6 fields in this row, the first line names 5 columns; write as many, and put one that "
        "has a comma in it in double quotes",
        "mine.csv:12: the name 'Fay[U+000A]Gil' has a line break or another unseen character in it; take it "
        "out",
        "mine.csv:14: the name 'Someone' is the control's, which signals no group; leave it out",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Bob\u200b", "Bob[U+200B]"),
        ("\u202eBob", "[U+202E]Bob"),
        ("Bob\u200d", "Bob[U+200D]"),
        ("Bo\u00adb", "Bo[U+00AD]b"),
        ("\u3164", "[U+3164]"),
    ],
)
def test_what_cannot_be_seen_in_a_name_is_refused(tmp_path: Path, name: str, shown: str) -> None:
    [told] = problems_of(write(tmp_path, f"name,group\n{name},G\n"))
    assert told.startswith(f"mine.csv:2: the name '{shown}' has a line break or another unseen character")
    [told] = problems_of(write(tmp_path, f"name,group\nBob,{name}\n"))
    assert told.startswith(f"mine.csv:2: the group '{shown}' has a line break or another unseen character")


@pytest.mark.parametrize("name", [SLOT, "Bob{", "}", BLANK, "[blank]", NAME, f"Bob {NAME.lower()}"])
def test_names_that_mark_a_place_in_a_prompt_are_refused(tmp_path: Path, name: str) -> None:
    [told] = problems_of(write(tmp_path, f"name,group\n{name},{{G}}\n"))
    held = " and ".join(mark for mark in RESERVED if mark.lower() in name.lower())
    assert (
        told == f"mine.csv:2: the name '{name}' has {held} in it, which is a place in a prompt; take it out"
    )


def test_an_empty_group_is_no_second_group(tmp_path: Path) -> None:
    path = write(tmp_path, "name,group\nAnn,A\nAnn,\nBen,\nBen,B\n")
    empty = "the group is empty; every row needs a name and a group"
    assert problems_of(path) == [
        f"mine.csv:3: {empty}",
        "mine.csv:3: the name 'Ann' stands already on line 2; keep one of them",
        f"mine.csv:4: {empty}",
        "mine.csv:5: the name 'Ben' stands already on line 4; keep one of them",
    ]


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        (
            "name,group,gender\nZoë,G,x\nZoé,,\n",
            "latin-1",
            ["2: byte 0xeb", "2: unknown gender", "3: the group"],
        ),
        ("name,group,colour\nAna,,red\n", "utf-8", ["1: unknown column 'colour'", "2: the group is empty"]),
        (
            "name,gruop,gender\nAna,G,x\nAna,G,\n",
            "utf-8",
            ["1: no column", "1: unknown", "2: unknown", "3: the name"],
        ),
        ('name,group\nAna,\nBen,"G"x\n', "utf-8", ["2: the group is empty", "3: not CSV from here on"]),
        ("name,group\nAna,\n", "utf-16", ["1: byte 0xff"]),
    ],
)
def test_what_is_wrong_with_a_file_hides_no_row(
    tmp_path: Path, text: str, encoding: str, told: list[str]
) -> None:
    problems = problems_of(write(tmp_path, text, encoding=encoding))
    assert len(problems) == len(told), problems
    for problem, beginning in zip(problems, told, strict=True):
        assert problem.startswith(f"mine.csv:{beginning}")


def test_header_mistakes_are_told_together_with_the_allowed_columns(tmp_path: Path) -> None:
    problems = problems_of(write(tmp_path, "name,colour,gender,gender\nAna,red,,\n"))
    allowed = (
        "the first line names the columns, separated by commas; allowed: name, group (required), gender, "
        "commonness, evidence, source, figures, notes"
    )
    assert problems == [
        f"mine.csv:1: no column 'group'; {allowed}",
        f"mine.csv:1: unknown column 'colour'; {allowed}",
        "mine.csv:1: column 'gender' stands there 2 times; keep one of them",
    ]


def test_a_file_without_column_names_is_told(tmp_path: Path) -> None:
    problems = problems_of(write(tmp_path, "Ana,G\nBen,G\n"))
    assert [problem.split(";")[0] for problem in problems] == [
        "mine.csv:1: no column 'name'",
        "mine.csv:1: no column 'group'",
        "mine.csv:1: unknown column 'ana'",
        "mine.csv:1: unknown column 'g'",
    ]


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("", "mine.csv:1: the file is empty"),
        (" \n\n", "mine.csv:1: the file is empty"),
        (",,\n", "mine.csv:1: no column names"),
        ("name,group\n", "mine.csv:1: no names below the column names"),
        ('name,group\nAna,G\n"Ben,G\n\nCy,G\n', "mine.csv:3: not CSV from here on"),
        ("name;group\nAna;G\n", "mine.csv:1: no column 'name'"),
    ],
)
def test_files_that_hold_no_list(tmp_path: Path, text: str, beginning: str) -> None:
    assert problems_of(write(tmp_path, text))[0].startswith(beginning)


def test_other_encodings_are_told_with_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, "name,group\nAna,G\nZoë,G\n", encoding="latin-1")
    assert problems_of(path) == ["mine.csv:3: byte 0xeb is not UTF-8; save the file as UTF-8"]


def test_absent_file_and_folder(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError, match=reason):
            load_signals(path)


# The choice


def test_eight_names_of_the_pilot_s_full_groups_are_the_pilot_s() -> None:
    for group in ("White", "Muslim", "Mexican"):
        chosen = {signal.text for signal in choose_signals(load_signals(), [group], 8)}
        assert chosen == {name for words in PILOT[group] for name in words.split()}


def test_the_pilot_s_half_groups_are_within_four() -> None:
    for group in ("Chinese", "Asian"):
        chosen = {signal.text for signal in choose_signals(load_signals(), [group], 4)}
        assert chosen == {name for words in PILOT[group] for name in words.split()}


@pytest.mark.parametrize("per_group", range(1, 25))
def test_the_choice_is_balanced_for_every_size(per_group: int) -> None:
    chosen = choose_signals(load_signals(), STUDY_GROUPS, per_group)
    assert [signal.group for signal in chosen] == [g for g in STUDY_GROUPS for _ in range(per_group)]
    for group in STUDY_GROUPS:
        own = [signal for signal in chosen if signal.group == group]
        women = sum(signal.gender == "woman" for signal in own)
        common = sum(signal.commonness == "common" for signal in own)
        assert abs(2 * women - per_group) <= 1
        assert abs(2 * common - per_group) <= 1


def test_a_smaller_choice_is_part_of_a_larger_one() -> None:
    signals = load_signals()
    choices = [{s.text for s in choose_signals(signals, ["Asian"], n)} for n in range(1, 25)]
    assert all(smaller < larger for smaller, larger in pairwise(choices))


def test_a_missing_stratum_is_made_up_for() -> None:
    signals = [
        Signal(text=f"{gender}{commonness}{i}", group="G", gender=gender, commonness=commonness)
        for gender, commonness in (("woman", "common"), ("man", "common"), ("man", "rare"))
        for i in range(4)
    ]
    chosen = choose_signals(signals, ["G"], 8)
    assert Counter(s.gender for s in chosen) == {"woman": 4, "man": 4}
    assert Counter(s.commonness for s in chosen) == {"common": 5, "rare": 3}


def test_without_gender_and_commonness_the_first_are_taken() -> None:
    signals = [Signal(text=str(i), group="G") for i in range(5)]
    assert choose_signals(signals, ["G"], 3) == signals[:3]


def test_the_control_is_never_chosen() -> None:
    signals = [NEUTRAL, Signal(text="Ana", group="G")]
    assert choose_signals(signals, ["G"], 1) == signals[1:]


def test_mistakes_of_a_choice_are_told_together() -> None:
    signals = [Signal(text="Ana", group="G"), Signal(text="Ben", group="H")]
    with pytest.raises(InputError) as caught:
        choose_signals(signals, ["G", "Marsian", "G"], 2)
    assert caught.value.problems == (
        "group 'G' has 1 name, 2 per group were asked for; ask for at most 1, or add names",
        "group 'G' is asked for 2 times; name it once",
        "unknown group 'Marsian'; the list has: G, H",
    )
    with pytest.raises(InputError, match="0 names per group were asked for; at least 1 is needed"):
        choose_signals(signals, ["G"], 0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["woman", "man", "both", None]), st.sampled_from(["common", "rare", None])),
        min_size=1,
        max_size=30,
    ),
    st.data(),
)
def test_any_list_gives_as_many_as_asked_in_its_order(
    kinds: list[tuple[str | None, str | None]], data: st.DataObject
) -> None:
    signals = [Signal(text=str(i), group="G", gender=g, commonness=c) for i, (g, c) in enumerate(kinds)]
    count = data.draw(st.integers(1, len(signals)))
    chosen = choose_signals(signals, ["G"], count)
    positions = [int(signal.text) for signal in chosen]
    assert len(set(positions)) == count
    assert positions == sorted(positions)
