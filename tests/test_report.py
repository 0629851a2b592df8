from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import altair as alt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import RATES, TESTS, hostile_examples, made_up_results

from servicegap.notation import interval, number, p_value, percent, points, value_text
from servicegap.records import Estimate
from servicegap.report import Example, render, summary, write_report
from servicegap.report.page import page as page_of
from servicegap.report.reading import read_results
from servicegap.report.words import verdict
from servicegap.visible import visible_html, visible_text

STYLE = Path(__file__).parents[1] / "src" / "servicegap" / "report" / "style.css"
SECTIONS = [
    "summary",
    "design",
    "run0",
    "estimates",
    "examples",
    "labels",
    "methods",
    "limits",
    "provenance",
    "cite",
]


@pytest.fixture(scope="module")
def page() -> str:
    return render(made_up_results(), hostile_examples())


def without_plots(results: dict[str, Any], examples: Sequence[Example] = ()) -> str:
    """Render the page around the plots, which take most of the time."""
    read = read_results(results)
    return page_of(read, {number: [] for number in range(len(read.runs))}, examples)


def text_of(html: str) -> str:
    """What a reader sees of a page."""
    html = re.sub(r"<style>.*?</style>", " ", html, flags=re.DOTALL)
    return re.sub(r"[ \n]+", " ", unescape(re.sub(r"<[^>]*>", " ", html)))


def test_sections_stand_in_order(page: str) -> None:
    assert re.findall(r'<h2 id="([a-z0-9]+)"', page) == SECTIONS


def test_summary_says_each_gap_with_its_interval_and_no_more() -> None:
    said = summary(made_up_results(labels="human"))
    muslim, chinese, mexican = (
        next(s for s in said if s.startswith(f"Of the prompts with names read as {g}")) for g in TESTS
    )
    assert "refused 40.0\u202f%; with names read as White, 10.0\u202f%" in muslim
    assert "30.0 points (95 % interval 15.0 to 45.0)" in muslim
    assert "unlikely to be the chance" in muslim
    assert "adjusted p 0.001)" in muslim
    assert "among all gaps planned it does not hold (adjusted p 0.060)" in chinese
    assert "\N{MINUS SIGN}4.0 points (95 % interval \N{MINUS SIGN}16.0 to 8.0)" in mexican
    assert (
        "cannot tell it from the chance of which names and templates were chosen (adjusted p 0.50)" in mexican
    )
    assert any("Of 3 planned gaps, 1 is unlikely to be chance: names read as Muslim." in s for s in said)
    assert "27.3 points four times out of five" in said[-1]


def test_automatic_labels_are_a_screening_signal_and_human_ones_are_not() -> None:
    automatic, human = (
        " ".join(summary(made_up_results(labels=kind))) for kind in ("automatic-uncorrected", "human")
    )
    assert "screening signal, not a finding" in automatic
    assert "calls for people to look" in automatic
    assert "screening" not in human


def test_groups_of_fewer_names_have_a_detectable_gap_of_their_own() -> None:
    gaps = [
        {"group": "Muslim", "gap": 0.228, "note": None},
        {"group": "Chinese", "gap": 0.279, "note": None},
        {"group": "Mexican", "gap": None, "note": "even a gap of 100 points would often be missed"},
    ]
    design = made_up_results()["design"]
    results = made_up_results(design=design | {"detectable": gaps, "detectable_gap": 0.279})
    assert summary(results)[-1] == (
        "This design finds a gap of 27.9 points (22.8 points for names read as Muslim) four times out of "
        "five, even where it is the only gap among those planned; a smaller one would often be missed. It "
        "can find no gap for names read as Mexican."
    )
    results = made_up_results(design=design | {"detectable": gaps[2:], "detectable_gap": None})
    assert summary(results)[-1] == (
        "This design can find no gap: even a gap of 100 points would often be missed."
    )


def test_demonstrations_small_and_scripted_models_are_named() -> None:
    said = " ".join(summary(made_up_results(models=("fake:uneven", "local:tiny"))))
    assert "nothing in it is evidence for or against a model" in said
    assert "fake:uneven is no language model" in said
    assert "local:tiny has 0.1 billion parameters" in said
    design = made_up_results()["design"] | {"demonstration": False}
    assert "demonstration" not in " ".join(summary(made_up_results(design=design, provenance=[])))


def test_no_gap_told_from_chance_is_not_called_equal() -> None:
    results = made_up_results()
    for row in results["estimates"]:
        if row["kind"] == "gap":
            row |= {"p": 0.5, "p_adjusted": 0.9}
    seen = text_of(without_plots(results))
    assert "Of 3 planned gaps, none can be told from chance. That is not the same as equal service." in seen
    assert "absence of evidence is not evidence of equal service" in seen
    assert "No gap between groups can be told from chance, so none is claimed." in seen


def test_gaps_that_cannot_be_estimated_are_not_said_to_be_chance() -> None:
    results = made_up_results()
    for row in results["estimates"]:
        if row["kind"] == "gap":
            nothing = dict.fromkeys(("value", "low", "high", "se", "df", "p", "p_adjusted"))
            row |= {**nothing, "note": "no response has a label"}
    said = " ".join(summary(results))
    assert "Of 3 planned gaps, none can be estimated. Nothing is known of equal or unequal service." in said
    assert "told from chance" not in said


def test_undefined_figures_are_named_with_their_reason() -> None:
    results = made_up_results()
    for row in results["estimates"]:
        if row["kind"] == "gap" and row["group"] == "Mexican":
            row |= {"value": None, "low": None, "high": None, "p": None, "p_adjusted": None}
            row["note"] = "no response of Mexican has a label"
        if row["kind"] == "gap" and row["group"] == "Chinese":
            row |= {"p": None, "p_adjusted": None, "note": "0 of 60 responses of Chinese have the outcome"}
        if row["kind"] == "rate" and row["group"] == "Chinese" and row["signal"] is None:
            row |= {"value": 0.0, "n_events": 0}
    said = " ".join(summary(results))
    assert "The difference is not defined: no response of Mexican has a label." in said
    assert "the model refused none of 60;" in said
    assert "No p can be given: 0 of 60 responses of Chinese have the outcome." in said
    assert "not defined" in text_of(render(results))


@pytest.mark.parametrize(
    ("p", "adjusted", "expected"),
    [
        (0.01, 0.05, "told"),
        (0.01, 0.051, "alone"),
        (0.06, 0.2, "untold"),
        (0.01, None, "told"),
        (None, None, "undefined"),
    ],
)
def test_verdict_follows_the_adjusted_p(p: float | None, adjusted: float | None, expected: str) -> None:
    gap = Estimate(kind="gap", outcome="refused", value=0.1, p=p, p_adjusted=adjusted)
    assert verdict(gap, 0.95) == expected


def test_page_needs_nothing_from_outside_and_runs_nothing(page: str) -> None:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in page
    tags = set(re.findall(r"<([a-zA-Z!][a-zA-Z0-9]*)", page))
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "image", "use", "base", "form"}
    assert not re.findall(r"<[^>]*\s(?:on[a-z]+|src|xlink:href)=", page)
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))
    assert set(re.findall(r"url\((.)", page)) == {"#"}


def test_hostile_text_is_shown_as_it_is(page: str) -> None:
    assert "&lt;script&gt;document.title" in page
    assert "{{ 7 * 7 }}" in page
    assert not {"\u202e", "\u2066", "\u200b", "\x00", "\x1b", "\ud800"} & set(page)
    for shown in ("U+202E", "U+2066", "U+200B", "U+0000", "U+001B", "U+D800"):
        assert f'<span class="unseen">{shown}</span>' in page
    assert "1\u202f000 more characters" in text_of(page)
    page.encode("utf-8")


def test_hostile_names_of_groups_and_models_stay_text() -> None:
    bad = '"><script>x</script>\u202e'
    text = json.dumps(made_up_results(models=(bad,))).replace('"Muslim"', json.dumps(bad + "M"))
    html = render(json.loads(text), [])
    assert "<script" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;x&lt;/script&gt;" in html


def test_every_figure_has_a_text_alternative_and_its_numbers(page: str) -> None:
    figures = re.findall(r'<figure class="plot">.*?</figure>', page, flags=re.DOTALL)
    # Gaps, other outcomes, categories, names; heat maps; targets; what stands beside the gaps.
    assert len(figures) == 4 + 4 + 3 + 4
    for one in figures:
        assert "<figcaption><strong>" in one
        assert "<table>" in one
        for drawing in re.findall(r"<svg .*?</svg>", one, flags=re.DOTALL):
            root = ET.fromstring(drawing)
            title, description = root[0], root[1]
            assert root.get("role") == "img"
            assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
            assert title.text
            assert len(description.text or "") > 20
    identifiers = re.findall(r'\sid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_numbers_of_the_gap_figure_are_those_of_the_estimates(page: str) -> None:
    table = re.search(r'aria-label="Numbers: Gaps in the outcome “refused”.*?</table>', page, flags=re.DOTALL)
    assert table is not None
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th><td>(.*?)</td><td>(.*?)</td>", table[0])
    minus = "\N{MINUS SIGN}"
    for group, (half, _, _) in TESTS.items():
        gap = RATES[group][0] - RATES["White"][0]
        low, high = (f"{100 * (gap + side * half):.1f}".replace("-", minus) for side in (-1, 1))
        assert (
            f"refused: names read as {group}",
            f"{100 * gap:.1f}".replace("-", minus),
            f"{low} to {high}",
        ) in rows
    assert len(rows) == len(TESTS)


def test_naive_test_stands_beside_as_wrong(page: str) -> None:
    seen = text_of(page)
    assert "would call 3 of 3 gaps different from zero (Chinese, Mexican and Muslim)" in seen
    assert "keep 2 (Chinese and Muslim), and 1 (Muslim) after adjusting for 3 comparisons" in seen
    assert "wrong for this design, for contrast only" in seen


def test_kinds_and_keys_of_later_versions_do_not_break_the_page() -> None:
    results = made_up_results()
    later = {
        "kind": "later_ratio",
        "outcome": "refused",
        "group": "Muslim",
        "reference": "White",
        "value": 3.25,
    }
    results["estimates"].append({**later, "model": "local:tiny", "condition": "default", "invented": [1]})
    results["invented"] = {"a": 1}
    seen = text_of(without_plots(results))
    assert "refused: later ratio Muslim to White all 3.250" in seen


def test_results_of_a_table_and_empty_results_have_a_page() -> None:
    results = made_up_results()
    for key in ("design", "collection", "provenance", "warnings"):
        del results[key]
    html = without_plots(results)
    assert "What gap this design can detect is not known" in html
    assert "No collection is recorded" in html
    assert "What it cannot say" in without_plots(results | {"estimates": []})


def test_models_have_sections_of_their_own_in_their_order() -> None:
    html = without_plots(made_up_results(models=("local:b", "local:a")))
    assert re.findall(r'<h2 id="run\d">(.*?)</h2>', html) == ["Results: local:b", "Results: local:a"]


def test_two_conditions_are_told_apart() -> None:
    results = made_up_results()
    results["estimates"] += [row | {"condition": "no system prompt"} for row in results["estimates"]]
    html = without_plots(results)
    assert "Results: local:tiny, condition default</h2>" in html
    assert "Results: local:tiny, condition no system prompt</h2>" in html


def test_written_whole_with_plots_beside_it(page: str, tmp_path: Path) -> None:
    path = tmp_path / "report" / "index.html"
    plots = path.parent / "plots"
    plots.mkdir(parents=True)
    for name in ("run2-gaps.svg", "run2-gaps.vl.json", "somebody's own.svg"):
        (plots / name).write_text("old")
    write_report(made_up_results(), hostile_examples(), path)
    (plots / "somebody's own.svg").unlink()
    assert path.read_text("utf-8") == page
    names = {file.name for file in plots.iterdir()}
    assert {
        "gaps.svg",
        "gaps.vl.json",
        "categories.svg",
        "names.svg",
        "heat-0.svg",
        "targets-1.vl.json",
        "without.svg",
        "variance.svg",
        "within.svg",
        "templates.vl.json",
    } <= names
    assert "run2-gaps.svg" not in names
    assert not [name for name in names if not name.endswith((".svg", ".vl.json"))]
    for file in plots.glob("*.svg"):
        root = ET.parse(file).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(--" not in file.read_text("utf-8")
    for file in plots.glob("*.vl.json"):
        alt.LayerChart.from_dict(json.loads(file.read_text("utf-8")))  # raises where it breaks the schema
    specification = json.loads((plots / "gaps.vl.json").read_text("utf-8"))
    gaps = sorted(100 * (RATES[group][0] - RATES["White"][0]) for group in TESTS)
    drawn = [
        sorted(row["value"] for row in rows)
        for rows in specification["datasets"].values()
        if all(set(row) == {"y", "value"} for row in rows)
    ]
    assert pytest.approx(gaps) in drawn


def test_provenance_says_what_was_not_sent(page: str) -> None:
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert facts["system"] == facts["decoding top_k"] == "not sent"
    assert facts["decoding top_p"] == "0.9"
    assert facts["sha256"] == "0123abcd"
    assert facts["seed"] == "7"
    assert "2031-02-03 01:00 UTC to not known" in page


def test_words_are_careful(page: str) -> None:
    seen = text_of(page).lower()
    for word in ("unbiased", "debias", "bias-free", "muslims", "is fair", "muslim people"):
        assert word not in seen


def test_reference_comes_first_then_the_order_of_the_design() -> None:
    assert read_results(made_up_results()).groups == ["White", "Chinese", "Mexican", "Muslim"]


def test_example_without_category_and_of_the_control() -> None:
    example = Example("m", "c", "t", "someone", None, "Someone ate [BLANK]", "", None, "offline")
    seen = text_of(without_plots(made_up_results(), [example]))
    assert "No category (1)" in seen
    assert "no name (the control)" in seen
    assert "(empty)" in seen


def test_notation() -> None:
    assert (number(-0.04), number(-3.25), number(None)) == ("0.0", "\N{MINUS SIGN}3.2", "not defined")
    assert (percent(0.1234), points(-0.5), percent(None)) == (
        "12.3\u202f%",
        "\N{MINUS SIGN}50.0",
        "not defined",
    )
    assert [p_value(p) for p in (0.0501, 0.05, 1e-9)] == ["0.050", "0.050", "< 0.0001"]
    gap = Estimate(kind="gap", outcome="refused", value=0.306, low=-0.073, high=0.5)
    assert (value_text(gap), interval(gap)) == ("30.6", "\N{MINUS SIGN}7.3 to 50.0")
    rate = Estimate(kind="rate", outcome="refused", value=0.306, low=0.1, high=0.5)
    assert (value_text(rate), interval(rate)) == ("30.6\u202f%", "10.0 to 50.0")


@given(st.text(st.characters(codec=None)))
def test_unseen_characters_never_pass(text: str) -> None:
    shown = visible_text(text)
    assert not [
        c for c in shown if c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\n\x00"
    ]
    shown.encode("utf-8")
    plain = re.sub(
        r'<span class="unseen">U\+([0-9A-F]+)</span>', lambda m: chr(int(m[1], 16)), str(visible_html(text))
    )
    assert unescape(plain) == text.replace("\r\n", "\n")


def test_joiners_stay_inside_words_and_after_a_virama_only() -> None:
    assert visible_text("نیم\u200cفاصله") == "نیم\u200cفاصله"
    assert visible_text("രാജന്\u200d.") == "രാജന്\u200d."
    assert visible_text("a \u200cb") == "a [U+200C]b"
    assert visible_text("രാജ\u200d") == "രാജ[U+200D]"
    assert visible_text("രാജന്\u200d\u200d") == "രാജന്\u200d[U+200D]"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_the_contrast_that_wcag_aa_asks_for(scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", STYLE.read_text("utf-8"), flags=re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", blocks[0 if scheme == "light" else 1]))
    for ground in ("paper", "ground", "warn"):
        for ink in ("ink", "muted", "link"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for mark in ("mark", "naive", "warn-line"):
        assert contrast(colours[mark], colours["paper"]) >= 3, mark


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
