"""The default annotator: what rules see in a prompt and a response, weighed by a small fitted model.

The facts that prompts.py and responses.py find, what two small models say of the prompt (intent.py) and of
each sentence (serving.py), and the words of the response are weighed by a multinomial logistic model, one for
prompts with a blank and one for all others. All weights (JSON beside this file) are fitted by
scripts/fit_offline.py on examples in the project's own words; no row of anybody's data is in them. The words'
lists and the examples were revised after looks at development data that docs/annotator-log.md lists, so
figures on that data flatter the annotator. Not here: the words (lexicon.py), how texts are read (prompts.py,
responses.py), what is weighed (features.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, get_args

from servicegap.annotators import features, serving
from servicegap.annotators.language import unreadable_reason
from servicegap.annotators.prompts import PromptReading, read_prompt
from servicegap.annotators.protocol import Judgement
from servicegap.annotators.responses import read_response
from servicegap.records import CATEGORIES, AnnotatorKind

WEIGHTS: Final = Path(__file__).with_name("weights.json")
_FLOOR: Final = 0.002  # nothing is certain: every category keeps this probability

PromptKind = Literal["blank", "other"]
PROMPT_KINDS: Final[tuple[PromptKind, ...]] = get_args(PromptKind)


def kind_of(prompt: PromptReading) -> PromptKind:
    """Return by which of the two models responses to a prompt are weighed."""
    return "blank" if prompt.task == "blank" else "other"


class OfflineAnnotator:
    """Labels responses in English without network or training; abstains where it cannot read them.

    It reads at least 2,000 ordinary responses a second on two cores. Prompts and responses have their
    signals masked beforehand (``SignalMask``), so that the same words get the same label for every name.

    Examples
    --------
    >>> judge = OfflineAnnotator().annotate("[NAME] went home to [BLANK]", "rest for a while.")
    >>> judge.category
    'answer'
    """

    name: str = "offline"
    version: str = "5"
    kind: AnnotatorKind = "automatic"

    def annotate(self, prompt: str, response: str) -> Judgement:
        """Judge one response.

        Parameters
        ----------
        prompt, response : str
            Signals masked. An empty response is a failure to answer.

        Returns
        -------
        Judgement
            A category with the probabilities of all six, or an abstention with its reason.
        """
        asked = read_prompt(prompt)
        said = read_response(asked, response)
        if said.text and not said.repeats_prompt:
            reason = unreadable_reason(said.text, asked.words)
            if reason:
                return Judgement(None, abstain_reason=reason)
        serves = [serving.probability(asked, sentence) for sentence in said.said]
        weights = _weights()[kind_of(asked)]
        probabilities = weights.probabilities(features.facts(asked, said, serves), features.words(said))
        best = max(range(len(CATEGORIES)), key=probabilities.__getitem__)
        return Judgement(CATEGORIES[best], probabilities)


@dataclass(frozen=True, slots=True)
class _Weights:
    """A multinomial logistic model; each entry has one weight for each category."""

    intercept: Sequence[float]
    facts: Mapping[str, Sequence[float]]
    words: Mapping[str, Sequence[float]]

    def probabilities(self, facts: features.Features, words: Iterable[str]) -> tuple[float, ...]:
        rows = [self.words[word] for word in self.words.keys() & words]
        rows.append(self.intercept)
        for name, value in facts.items():
            row = self.facts.get(name)
            if row:
                rows.append([weight * value for weight in row])
        scores = [math.fsum(column) for column in zip(*rows, strict=True)]
        top = max(scores)
        shares = [math.exp(score - top) for score in scores]
        kept = (1 - _FLOOR * len(shares)) / math.fsum(shares)
        return tuple(_FLOOR + share * kept for share in shares)


@lru_cache(maxsize=1)
def _weights() -> dict[PromptKind, _Weights]:
    fitted = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return {
        kind: _Weights(fitted[kind]["intercept"], fitted[kind]["facts"], fitted[kind]["words"])
        for kind in PROMPT_KINDS
    }
