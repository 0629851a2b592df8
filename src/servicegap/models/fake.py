"""Scripted models with a gap that is known beforehand: for tests, tutorials and trying things out.

No model at all stands behind them; their words are the project's own. What they say is fixed by prompt,
system prompt, seed and condition, so that a run can be repeated and its true rates are known.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from servicegap.errors import InputError
from servicegap.models.protocol import CallError, Reply, Request
from servicegap.records import ErrorKind
from servicegap.signals import load_signals

Kind = TypeVar("Kind")

#: Probability of refusing, whatever the name (``fake:even``).
EVEN_REFUSAL_RATE = 0.20
#: Probability of refusing by the group that the name in the prompt signals (``fake:uneven``). A gap to
#: the reference group White is the difference: 0.24 for Muslim names, 0 for prompts without a name.
UNEVEN_REFUSAL_RATES: Mapping[str | None, float] = MappingProxyType(
    {
        None: 0.08,
        "White": 0.08,
        "Jewish": 0.12,
        "Asian": 0.14,
        "Black": 0.18,
        "Native American": 0.18,
        "Mexican": 0.20,
        "Chinese": 0.24,
        "Muslim": 0.32,
    }
)
#: Of the refusals, the share that is harmful, and of the rest, the shares of the other categories.
HARMFUL_SHARE, PARTIAL_SHARE, FAILURE_SHARE, HARMFUL_ANSWER_SHARE = 0.25, 0.06, 0.04, 0.0

_FILLINGS = (
    "a second cup of tea",
    "the blue notebook from the kitchen table",
    "a loaf of bread and a bag of apples",
    "an old photo album",
    "the last train home",
    "a warm coat",
    "a bunch of tulips",
    "the new library card",
)
_ANSWERS = (
    "Begin with a short list of what matters, set a date for each item, and ask a friend to look it over.",
    "Take it step by step: write down the facts, choose the simplest way, and check the result the next day.",
    "A good way is to prepare early, keep the message short and friendly, and follow up after a week.",
)
_PARTIAL = (
    "It could be for any number of reasons, depending on the situation.",
    "It could be for a number of reasons, personal or professional, depending on the situation.",
)
_FAILURES = (
    "Could you tell me a little more, so that I can complete the sentence?",
    "Sure, I'd be glad to help you with that!",
)
_REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I apologize, but I am not able to complete this sentence.",
    "Sorry, I can't complete this, as I don't have personal information about private individuals.",
    "I'm afraid I cannot answer this. Is there anything else I can do for you?",
)
_HARMFUL_REFUSALS = (
    "I'm sorry, but I can't complete this, as it might promote illegal or violent activities.",
    "I apologize, but I cannot help with anything that could be part of a crime or an attack.",
    "I cannot complete this, as it could spread harmful stereotypes about people of that religion.",
    "Sorry, I won't answer, since this could be about smuggling or terrorism, which I do not support.",
)
_HARMFUL_FILLINGS = (
    "stolen goods to be smuggled out",
    "drugs to be smuggled over the border",
)


class FakeModel:
    """A model that refuses with known probabilities.

    Parameters
    ----------
    refusal_rates : float or mapping of group to float
        Probability of refusing (0 to 1): the same for all, or by the group of the first name found in
        the prompt. The key None is for prompts without a known name, and for groups not in the mapping.
    harmful_share : float
        Share of the refusals that are harmful ones.
    partial_share, failure_share, harmful_answer_share : float
        Shares of partial answers, failures and harmful answers among what is not refused.
    groups : mapping of str to str, optional
        Signal -> its group; by default the built-in names.
    errors : mapping of error kind to float, optional
        Probability that a call is met with an error of this kind, such as ``{"transport": 0.02}``; drawn
        anew each time the same call is asked, so that asking again helps.
    script : callable, optional
        From the request to the reply, in place of all of the above but `errors`; may raise CallError.
    latency : float
        Seconds that each call takes.
    concurrency : int
        Calls in flight that the collector is told to use.
    name : str
        What stands after ``fake:`` in its id.

    Raises
    ------
    InputError
        If a probability is not between 0 and 1, or shares or errors sum to more than 1.

    Examples
    --------
    >>> model = FakeModel({"A": 1.0, None: 0.0}, harmful_share=0.0, groups={"Ann": "A"})
    >>> model.refusal_rate("Ann went home to [BLANK]."), model.refusal_rate("Bo went home to [BLANK].")
    (1.0, 0.0)
    """

    def __init__(
        self,
        refusal_rates: float | Mapping[str | None, float] = EVEN_REFUSAL_RATE,
        *,
        harmful_share: float = HARMFUL_SHARE,
        partial_share: float = PARTIAL_SHARE,
        failure_share: float = FAILURE_SHARE,
        harmful_answer_share: float = HARMFUL_ANSWER_SHARE,
        groups: Mapping[str, str] | None = None,
        errors: Mapping[ErrorKind, float] | None = None,
        script: Callable[[Request], Reply] | None = None,
        latency: float = 0.0,
        concurrency: int = 50,
        name: str = "custom",
    ) -> None:
        self.id = f"fake:{name}"
        self.concurrency = concurrency
        self.calls = 0
        self._rates: Mapping[str | None, float] = (
            refusal_rates if isinstance(refusal_rates, Mapping) else {None: refusal_rates}
        )
        self._harmful_share = harmful_share
        self._shares = {
            "partial_answer": partial_share,
            "failure": failure_share,
            "harmful_answer": harmful_answer_share,
        }
        self._errors = dict(errors or {})
        self._given_groups = groups
        self._script = script
        self._latency = latency
        self._asked: Counter[str] = Counter()
        self._check()

    async def open(self) -> dict[str, Any]:
        """Return the probabilities: all that is to know."""
        return {
            "backend": "fake",
            "refusal_rates": {group or "no known name": rate for group, rate in self._rates.items()},
            "harmful_share": self._harmful_share,
            "shares_of_the_rest": self._shares,
            "errors": self._errors,
            "scripted": self._script is not None,
        }

    async def respond(self, request: Request) -> Reply:
        """Answer as the probabilities and the request's seed have it.

        Raises
        ------
        CallError
            As often as `errors` says.
        """
        self.calls += 1
        if self._latency:
            await asyncio.sleep(self._latency)
        identity = repr((request.text, request.condition.system, request.condition.id, request.seed))
        if self._errors and (met := self._error(identity)):
            return met
        if self._script is not None:
            return self._script(request)
        text = self._text(request.text, _draws(identity))
        return Reply(
            text=text,
            finish_reason="stop",
            prompt_tokens=len(request.text.split()),
            completion_tokens=len(text.split()),
            served_model=self.id,
        )

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def refusal_rate(self, text: str) -> float:
        """Return the probability (0 to 1) that a prompt is refused."""
        found = self._names.search(text) if self._groups else None
        group = self._groups[found.group()] if found else None
        return self._rates.get(group, self._rates.get(None, EVEN_REFUSAL_RATE))

    @cached_property
    def _groups(self) -> Mapping[str, str]:
        if self._given_groups is not None:
            return self._given_groups
        if set(self._rates) == {None}:
            return {}
        return {signal.text: signal.group for signal in load_signals() if signal.group is not None}

    @cached_property
    def _names(self) -> re.Pattern[str]:
        longest_first = sorted(self._groups, key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def _text(self, prompt: str, draws: Iterator[float]) -> str:
        if next(draws) < self.refusal_rate(prompt):
            return _pick(_HARMFUL_REFUSALS if next(draws) < self._harmful_share else _REFUSALS, draws)
        category = _drawn(self._shares, next(draws))
        if category == "partial_answer":
            return _pick(_PARTIAL, draws)
        if category == "failure":
            return _pick(_FAILURES, draws)
        fillings = _HARMFUL_FILLINGS if category == "harmful_answer" else _FILLINGS
        if "[BLANK]" in prompt:
            return prompt.replace("[BLANK]", _pick(fillings, draws))
        return f"It was {_pick(fillings, draws)}." if category else _pick(_ANSWERS, draws)

    def _error(self, identity: str) -> Reply | None:
        """Return an empty or cut reply, raise an error, or neither, as the probabilities have it."""
        self._asked[identity] += 1
        draw = next(_draws(f"{identity} error {self._asked[identity]}"))
        kind = _drawn(self._errors, draw)
        if kind is None:
            return None
        if kind == "empty":
            return Reply(text="", finish_reason="stop")
        if kind == "truncated":
            return Reply(text="It all began when", finish_reason="length")
        wait = 0.01 if kind == "rate_limit" else None
        raise CallError(kind, f"a made-up error of the kind {kind}", wait)

    def _check(self) -> None:
        groups = [
            ("refusal_rates", list(self._rates.values())),
            ("harmful_share", [self._harmful_share]),
            ("the shares of the rest", [*self._shares.values(), sum(self._shares.values())]),
            ("errors", [*self._errors.values(), sum(self._errors.values())]),
        ]
        wrong = [what for what, values in groups if not all(0 <= value <= 1 for value in values)]
        if wrong:
            raise InputError(
                *(f"{what} of a fake model: probabilities lie between 0 and 1, in sum too" for what in wrong)
            )


def create_fake(name: str, *, concurrency: int = 50) -> FakeModel:
    """Return a built-in fake model: ``even`` or ``uneven``.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    rates: dict[str, float | Mapping[str | None, float]] = {
        "even": EVEN_REFUSAL_RATE,
        "uneven": UNEVEN_REFUSAL_RATES,
    }
    if name not in rates:
        raise InputError(f"fake model {name!r} is unknown; allowed: {', '.join(rates)}")
    return FakeModel(rates[name], name=name, concurrency=concurrency)


def _draws(identity: str) -> Iterator[float]:
    """Yield numbers between 0 and 1, always the same for the same text."""
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
    while True:
        for start in range(0, 32, 8):
            yield int.from_bytes(digest[start : start + 8]) / 2**64
        digest = hashlib.sha256(digest).digest()


def _pick(texts: Sequence[str], draws: Iterator[float]) -> str:
    return texts[int(next(draws) * len(texts))]


def _drawn(probabilities: Mapping[Kind, float], draw: float) -> Kind | None:
    """Return which of the probabilities a number between 0 and 1 falls on, None = on none of them."""
    for kind, probability in probabilities.items():
        if draw < probability:
            return kind
        draw -= probability
    return None
