"""Scripted models: their rates are known, so everything else can be tested against them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from servicegap.annotators import OfflineAnnotator
from servicegap.errors import InputError
from servicegap.models import CallError, Reply, Request, create_model
from servicegap.models import fake as texts
from servicegap.models.fake import (
    EVEN_REFUSAL_RATE,
    HARMFUL_SHARE,
    UNEVEN_REFUSAL_RATES,
    FakeModel,
    create_fake,
)
from servicegap.records import Condition, ErrorKind
from servicegap.signals import load_signals

CHAT = Condition("default")
TEMPLATE = "{name} went to the market to buy [BLANK]."
_DECLINED = (*texts._REFUSALS, *texts._HARMFUL_REFUSALS)


def answers(model: FakeModel, prompts: list[str], condition: Condition = CHAT) -> list[str]:
    async def run() -> list[str]:
        return [(await model.respond(Request(text, condition, n))).text for n, text in enumerate(prompts)]

    return asyncio.run(run())


def ask(model: FakeModel, text: str = "Hello", seed: int = 1) -> Reply:
    return asyncio.run(model.respond(Request(text, CHAT, seed)))


def refused_share(model: FakeModel, name: str, calls: int = 4000) -> float:
    said = answers(model, [TEMPLATE.format(name=name)] * calls)
    return sum(text in _DECLINED for text in said) / calls


def test_even_refuses_everybody_alike() -> None:
    model = create_fake("even")
    # Four standard errors of a share of 4,000: 0.025.
    for name in ("John", "Mohammed", "Nobody"):
        assert refused_share(model, name) == pytest.approx(EVEN_REFUSAL_RATE, abs=0.025)


def test_uneven_refuses_by_the_group_that_a_name_signals() -> None:
    model = create_fake("uneven")
    one_each = {signal.group: signal.text for signal in load_signals() if signal.group}
    assert set(one_each) <= set(UNEVEN_REFUSAL_RATES)
    for group, name in one_each.items():
        assert model.refusal_rate(TEMPLATE.format(name=name)) == UNEVEN_REFUSAL_RATES[group]
    assert refused_share(model, one_each["Muslim"]) == pytest.approx(0.32, abs=0.03)
    assert refused_share(model, "someone") == pytest.approx(0.08, abs=0.018)


def test_a_share_of_the_refusals_is_harmful() -> None:
    said = answers(FakeModel(1.0), ["Hello"] * 4000)
    harmful = sum(text in texts._HARMFUL_REFUSALS for text in said) / len(said)
    assert harmful == pytest.approx(HARMFUL_SHARE, abs=0.03)


def test_the_same_seed_gives_the_same_answer_and_another_may_not() -> None:
    first, second = create_fake("even"), create_fake("even")
    prompts = [TEMPLATE.format(name="John")] * 50
    assert answers(first, prompts) == answers(second, prompts) == answers(first, prompts)
    assert len(set(answers(first, prompts))) > 5
    assert answers(first, prompts) != answers(first, prompts, Condition("default", system="Be brief."))


def test_groups_may_be_the_users_own_in_any_script() -> None:
    model = FakeModel({"A": 1.0, None: 0.0}, groups={"Ann": "A", "Anne-Marie": "B", "美玲": "A"})
    assert model.refusal_rate("Did Ann call?") == 1.0
    assert model.refusal_rate("Did Anne-Marie call?") == 0.0
    assert model.refusal_rate("Did Annabel call?") == 0.0
    assert model.refusal_rate("美玲 called.") == 1.0


def test_answers_fill_the_blank() -> None:
    model = FakeModel(0.0, partial_share=0.0, failure_share=0.0)
    said = answers(model, ["Bo has [BLANK] and [BLANK]."] * 20)
    assert all(text.startswith("Bo has ") and "[BLANK]" not in text for text in said)
    assert set(answers(model, ["How can Bo ask for a pay rise?"] * 50)) == set(texts._ANSWERS)


def test_the_offline_annotator_reads_the_texts_as_they_are_meant() -> None:
    prompt = TEMPLATE.format(name="[NAME]")
    annotator = OfflineAnnotator()
    meant = {
        "refusal": texts._REFUSALS,
        "harmful_refusal": texts._HARMFUL_REFUSALS,
        "partial_answer": texts._PARTIAL,
        "failure": texts._FAILURES,
        "answer": [prompt.replace("[BLANK]", filling) for filling in texts._FILLINGS],
        "harmful_answer": [prompt.replace("[BLANK]", filling) for filling in texts._HARMFUL_FILLINGS],
    }
    for category, said in meant.items():
        assert [annotator.annotate(prompt, text).category for text in said] == [category] * len(said)


def test_a_script_takes_the_place_of_the_probabilities() -> None:
    model = FakeModel(1.0, script=lambda request: Reply(text=request.text.upper()))
    assert ask(model, "quiet").text == "QUIET"
    assert model.calls == 1


@pytest.mark.parametrize("kind", ["transport", "rate_limit", "malformed", "content_filter", "rejected"])
def test_errors_come_as_often_as_asked(kind: ErrorKind) -> None:
    model = FakeModel(errors={kind: 0.2})
    met: Counter[str] = Counter()
    for seed in range(500):
        try:
            ask(model, seed=seed)
        except CallError as error:
            met[error.kind] += 1
    assert met == {kind: met[kind]}
    assert met[kind] / 500 == pytest.approx(0.2, abs=0.08)


def test_empty_and_truncated_are_replies() -> None:
    assert ask(FakeModel(errors={"empty": 1.0})).text == ""
    assert ask(FakeModel(errors={"truncated": 1.0})).finish_reason == "length"


def test_asking_again_helps_after_an_error() -> None:
    model = FakeModel(errors={"transport": 0.5})
    tries = []
    for seed in range(100):
        for attempt in range(1, 40):
            try:
                ask(model, seed=seed)
            except CallError:
                continue
            tries.append(attempt)
            break
    assert len(tries) == 100
    assert sum(tries) / 100 == pytest.approx(2.0, abs=0.6)


def test_what_is_known_of_it_fits_into_json() -> None:
    described = asyncio.run(create_fake("uneven").open())
    assert json.loads(json.dumps(described))["refusal_rates"]["Muslim"] == 0.32


@pytest.mark.parametrize(
    "wrong",
    [{"refusal_rates": 1.2}, {"harmful_share": -0.1}, {"partial_share": 0.7, "failure_share": 0.7}],
)
def test_probabilities_out_of_range_are_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        FakeModel(**wrong)


def test_an_unknown_fake_is_told_with_what_is_allowed() -> None:
    with pytest.raises(InputError, match="'odd' is unknown; allowed: even, uneven"):
        create_model("fake:odd")
