"""The records that pass from stage to stage. All are frozen; a change is a new record.

Not here: the study's plan (study.py) and how records are kept (store.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Category = Literal["answer", "partial_answer", "failure", "refusal", "harmful_refusal", "harmful_answer"]
CATEGORIES: tuple[Category, ...] = (
    "answer",
    "partial_answer",
    "failure",
    "refusal",
    "harmful_refusal",
    "harmful_answer",
)

#: The yes/no outcomes made from categories: outcome -> the categories that count as "yes".
OUTCOMES: Mapping[str, frozenset[Category]] = {
    "refused": frozenset({"refusal", "harmful_refusal"}),
    "harmful": frozenset({"harmful_refusal", "harmful_answer"}),
    "unserved": frozenset({"partial_answer", "failure", "refusal", "harmful_refusal", "harmful_answer"}),
}

Pass = Literal["whole", "quality", "harm"]
#: Whether a response is harmful: it says so itself, or only lets it be understood.
Harm = Literal["none", "stated", "implied"]
AnnotatorKind = Literal["human", "automatic", "judge", "provider", "imported"]
Labels = Literal["human", "corrected", "automatic-uncorrected", "imported"]

#: Kinds of failed call. The first three are asked again by a re-run, the others are final.
ErrorKind = Literal[
    "transport", "rate_limit", "malformed", "content_filter", "rejected", "truncated", "empty"
]
RETRYABLE: frozenset[ErrorKind] = frozenset({"transport", "rate_limit", "malformed"})


#: How estimates name the group of the no-signal control.
CONTROL = "no signal"


def content_hash(*parts: str) -> str:
    """Return the identifier of some content: 16 hexadecimal digits of its SHA-256.

    Parameters
    ----------
    *parts : str
        The parts, in order; they are kept apart, so ``("ab", "c")`` differs from ``("a", "bc")``.

    Examples
    --------
    >>> content_hash("a", "b")
    'facdde7abf1eac5b'
    """
    return hash_of(told_apart(*parts))


def told_apart(*parts: str) -> str:
    """Return the parts as one text in which they are kept apart; such texts can be joined."""
    return "".join([f"{len(part)}:{part}" for part in parts])


def hash_of(text: str) -> str:
    """Return the content hash of parts that are told apart in one text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Signal:
    """What in a prompt tells the model who the person is; its text is unique in a study.

    ``group`` is None for the no-signal control alone.
    """

    text: str
    group: str | None
    kind: str = "name"
    gender: str | None = None
    commonness: str | None = None
    evidence: str | None = None
    source: str | None = None
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A text with the slot ``{name}``; ``target`` is None for a template without a stereotype."""

    id: str
    text: str
    task: str = "completion"
    target: str | None = None
    stereotype: str | None = None
    source: str | None = None
    study: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template filled with a signal. ``id`` is the content hash of both."""

    id: str
    template: str
    signal: str
    text: str


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a model is asked to choose its words; None = not sent, so that the server's own value holds."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a model is run under.

    ``mode`` is ``chat`` or ``completion`` (plain text, for base models: no system prompt);
    ``prefill`` is the beginning of the answer, put into the model's mouth.
    """

    id: str
    system: str | None = None
    prefill: str | None = None
    mode: Literal["chat", "completion"] = "chat"
    decoding: Decoding = field(default_factory=Decoding)

    @property
    def settings(self) -> str:
        """Content hash of all that the condition sets; its name does not enter."""
        return content_hash(json.dumps({**asdict(self), "id": None}, sort_keys=True))


@dataclass(frozen=True, slots=True)
class Response:
    """One attempt at one call: what came back, or why nothing did.

    ``id`` is the content hash of prompt, model, settings and sample, the same for all attempts;
    ``settings`` that of the condition's content (system prompt, decoding, ...), which its name hides.
    ``raw`` is what came before an import cut it, None where ``text`` is all. ``latency`` is in seconds;
    token counts are the server's, None where it gave none.
    """

    id: str
    attempt: int
    prompt: str
    model: str
    condition: str
    settings: str
    sample: int
    seed: int | None
    text: str | None
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    latency: float | None
    error_kind: ErrorKind | None
    error: str | None
    created: str
    logprobs: str | None = None
    raw: str | None = None

    @property
    def failed(self) -> bool:
        """Whether a re-run asks again."""
        return self.error_kind in RETRYABLE


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotator's category for one response, or an abstention (``category`` None, with a reason).

    ``probabilities`` has one entry for each category, in the order of CATEGORIES, summing to 1.

    ``pass_`` is ``whole`` (all six categories at once), ``quality`` (signals masked: answer, partial answer,
    failure or refusal) or ``harm`` (``category`` None; ``harm`` says none, stated, or implied, and
    ``criteria`` which of the codebook's were met).
    """

    response: str
    annotator: str
    kind: AnnotatorKind
    version: str
    category: Category | None
    created: str
    abstain_reason: str | None = None
    probabilities: tuple[float, ...] | None = None
    note: str | None = None
    codebook_hash: str | None = None
    round: int = 1
    pass_: Pass = "whole"
    harm: Harm | None = None
    criteria: tuple[str, ...] = ()
    supersedes: int | None = None
    sampling_probability: float | None = None
    active_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One figure with its uncertainty; rates and gaps are proportions (0 to 1), not points.

    What cannot be computed is None, and ``note`` says why.

    Attributes
    ----------
    kind : str
        ``rate``, ``gap``, ``contrast`` (a gap minus a gap), ``share`` (of a category), ``naive_gap``, ...
    outcome : str
        ``refused``, ``harmful``, ``unserved``, or a category for a share.
    group, reference : str or None
        The gap is the rate of `group` minus that of `reference`: above 0 = the group has more of it.
    target : str or None
        The part of the templates: None = all that carry a stereotype (or all, where none does), a
        target group, ``own``, ``other``, ``neutral``, or a difference such as ``own - neutral``.
    signal, template : str or None
        Set where the figure is of one signal or one template alone.
    value, low, high, level : float or None
        The figure and the limits of its interval at confidence `level`.
    se, df, p, p_adjusted : float or None
        Standard error, degrees of freedom, two-sided p of "no difference", and p adjusted over the
        planned family.
    n_responses, n_missing, n_events, n_signals, n_templates : int or None
        Labelled responses, those without a label, those with the outcome, and the clusters behind them.
    labels : str or None
        Who labelled: ``human``, ``corrected``, ``automatic-uncorrected`` or ``imported``.
    planned : bool
        Whether the analysis plan named it beforehand; everything else is exploratory.
    """

    kind: str
    outcome: str
    value: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    group: str | None = None
    reference: str | None = None
    model: str | None = None
    condition: str | None = None
    target: str | None = None
    signal: str | None = None
    template: str | None = None
    se: float | None = None
    df: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    method: str | None = None
    n_responses: int | None = None
    n_missing: int | None = None
    n_events: int | None = None
    n_signals: int | None = None
    n_templates: int | None = None
    labels: Labels | None = None
    planned: bool = False
    note: str | None = None
