"""A judge: any model that labels responses by the codebook, each asked once or several times.

Its version is a hash of everything that decides a label: the instructions made from the codebook, the
model, and how it is asked. Not here: how its calls are made and kept (judge_run.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from servicegap.annotators.judge_prompt import (
    MOST_CHARACTERS,
    about_tokens,
    answer_schema,
    is_cut,
    system_prompt,
    user_message,
)
from servicegap.annotators.judge_reply import Vote, read_vote, settle, token_probabilities
from servicegap.annotators.protocol import Judgement
from servicegap.calls import Call
from servicegap.codebook import Codebook
from servicegap.records import AnnotatorKind, Condition, Decoding, Prompt, content_hash
from servicegap.study import JudgePlan

#: Changes when replies are read or counted in another way; what was asked stays as it is.
_READING: Final = "1"
#: Likeliest tokens that are asked for at each place, from which the label's probability is computed.
_LOGPROBS: Final = 10
#: Bytes of text for a token, at the fewest: more room than is needed is better than a call that is rejected.
_FEWEST_BYTES_PER_TOKEN: Final = 3


@dataclass(frozen=True, slots=True)
class Texts:
    """A prompt and a response, signals masked. Texts that are the same have the same ``id``."""

    prompt: str
    response: str

    @property
    def id(self) -> str:
        """Content hash of both."""
        return content_hash(self.prompt, self.response)


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """A stored reply of a judge, or why there is none."""

    text: str | None
    error_kind: str | None = None
    error: str | None = None
    logprobs: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What the replies about one response come to, and what is worth noting about it."""

    judgement: Judgement
    note: str | None


class Judge:
    """A model as an annotator.

    Parameters
    ----------
    plan : JudgePlan
        Which model, and how it is asked.
    codebook : Codebook
        What it judges by.

    Attributes
    ----------
    name, version, kind : str
        What its annotations carry.
    condition : Condition
        What the model is run under: the instructions, and how words are chosen.
    asked : str
        Hash of all that decides a reply: the number of samples does not, so that a judge asked more often
        keeps the replies that it gave.
    """

    kind: AnnotatorKind = "judge"

    def __init__(self, plan: JudgePlan, codebook: Codebook) -> None:
        self.plan = plan
        self.name = f"judge:{plan.id}"
        self.codebook_hash = codebook.hash
        self.schema = answer_schema(reason=plan.reason)
        self.condition = Condition(
            id="judge",
            system=system_prompt(codebook, example_tokens=plan.example_tokens, reason=plan.reason),
            decoding=Decoding(
                temperature=plan.temperature,
                max_tokens=plan.max_tokens,
                # Among several samples the shares say how sure it is.
                logprobs=_LOGPROBS if plan.samples == 1 else None,
            ),
        )
        form = user_message("", "")
        self.asked = content_hash(plan.id, self.condition.settings, form, json.dumps(self.schema))
        self.version = content_hash(self.asked, str(plan.samples), _READING)

    def calls(self, texts: Texts, seed: int) -> list[Call]:
        """Return the calls about one response, each sample's with a seed of its own made from `seed`."""
        message = Prompt(texts.id, template="", signal="", text=user_message(texts.prompt, texts.response))
        return [
            Call(
                id=(id_ := content_hash(self.asked, texts.id, str(sample))),
                attempt=1,
                prompt=message,
                condition=self.condition,
                settings=self.asked,
                sample=sample,
                seed=int(content_hash(str(seed), id_)[:8], 16) >> 1,
            )
            for sample in range(self.plan.samples)
        ]

    def settle(self, texts: Texts, replies: Sequence[JudgeReply]) -> Settled:
        """Return what the final replies about one response come to."""
        votes = [_vote(reply) for reply in replies]
        probabilities = _probabilities(replies[0], votes[0]) if len(votes) == 1 else None
        judgement = settle(votes, probabilities)
        return Settled(judgement, _note(texts, votes, judgement))

    def context(self, calls: Sequence[Call]) -> int:
        """Return how many tokens each of these calls takes at most, prompt and answer together."""
        longest = max(len(call.prompt.text.encode()) for call in calls)
        asked = (len((self.condition.system or "").encode()) + longest) // _FEWEST_BYTES_PER_TOKEN
        return -(-(asked + self.plan.max_tokens) // 256) * 256

    def prompt_tokens(self, call: Call) -> int:
        """Return about how many tokens the prompt of a call has."""
        return about_tokens(self.condition.system or "") + about_tokens(call.prompt.text)

    def describe(self) -> dict[str, Any]:
        """Return what is kept about the judge, for whoever reads its labels later."""
        return {
            "annotator": self.name,
            "version": self.version,
            "codebook": self.codebook_hash,
            "plan": self.plan.model_dump(exclude={"base_url"}),
            "instructions": self.condition.system,
            "schema": self.schema,
        }


def _vote(reply: JudgeReply) -> Vote:
    if reply.text is None or not reply.text.strip():
        return Vote(None, f"no reply ({reply.error or 'nothing came'})")
    vote = read_vote(reply.text)
    if vote.category is None and reply.error_kind == "truncated":
        return Vote(None, "the reply was cut at max_tokens before its label; raise max_tokens")
    return vote


def _probabilities(reply: JudgeReply, vote: Vote) -> tuple[float, ...] | None:
    if reply.logprobs is None or vote.category is None:
        return None
    return token_probabilities(json.loads(reply.logprobs), vote.category)


def _note(texts: Texts, votes: Sequence[Vote], judgement: Judgement) -> str | None:
    """Return the reason that the judge gave for its label, and that it saw only a part of a long text."""
    reasons = [vote.reason for vote in votes if vote.reason and vote.category == judgement.category]
    parts = reasons[:1]
    if is_cut(texts.prompt) or is_cut(texts.response):
        parts.append(f"judged by the first and last {MOST_CHARACTERS // 2} characters")
    return "; ".join(parts) or None
