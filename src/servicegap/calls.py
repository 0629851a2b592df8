"""What a study asks: its design, and every call made of it, each with its own seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servicegap.records import Condition, Prompt, Signal, Template, content_hash, hash_of, told_apart
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
    study_seed = told_apart(str(study.plan.seed))
    for plan in study.plan.conditions:
        condition = plan.record()
        settings = condition.settings
        # Written once, as there are hundreds of thousands of calls: what all prompts have in common.
        samples = [
            (sample, told_apart(model, settings, str(sample)), told_apart(str(sample)))
            for sample in range(study.plan.samples)
        ]
        for prompt in prompts:
            asked = told_apart(prompt.id)
            for sample, of_model, of_sample in samples:
                yield Call(
                    id=hash_of(asked + of_model),
                    attempt=1,
                    prompt=prompt,
                    condition=condition,
                    settings=settings,
                    sample=sample,
                    seed=int(hash_of(study_seed + asked + of_sample)[:8], 16) >> 1,
                )
