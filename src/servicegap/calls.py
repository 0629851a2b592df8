"""What a study asks: its design, and every call made of it, each with its own seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servicegap.records import Condition, Prompt, Signal, Template, content_hash
from servicegap.study import Study

#: How the models of imported responses are named; they cannot be asked.
IMPORTED = "imported:"


@dataclass(frozen=True, slots=True)
class Design:
    """All prompts of a study, and what made them."""

    signals: Sequence[Signal]
    templates: Sequence[Template]
    prompts: Sequence[Prompt]
    warnings: Sequence[str]

    @property
    def hash(self) -> str:
        """Content hash of all of it: a name's group and a template's target decide the results too."""
        prompts = [prompt.id for prompt in self.prompts]
        return content_hash(repr((list(self.signals), list(self.templates), prompts)))


@dataclass(frozen=True, slots=True)
class Call:
    """One thing to ask. ``attempt`` counts from 1; ``id`` is the response's."""

    id: str
    attempt: int
    prompt: Prompt
    condition: Condition
    settings: str
    sample: int
    seed: int


def planned_calls(study: Study, model: str, prompts: Sequence[Prompt]) -> Iterator[Call]:
    """Yield every call that the plan asks of a model, each as its first attempt."""
    study_seed = str(study.plan.seed)
    for plan in study.plan.conditions:
        condition = plan.record()
        settings = condition.settings
        for prompt in prompts:
            for sample in range(study.plan.samples):
                yield Call(
                    id=content_hash(prompt.id, model, settings, str(sample)),
                    attempt=1,
                    prompt=prompt,
                    condition=condition,
                    settings=settings,
                    sample=sample,
                    seed=int(content_hash(study_seed, prompt.id, str(sample))[:8], 16) >> 1,
                )
