"""Every call that a plan asks of a model: prompts x conditions x samples, each with its own seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servicegap.records import Condition, Prompt, content_hash
from servicegap.study import Study


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
                    seed=int(content_hash(str(study.plan.seed), prompt.id, str(sample))[:8], 16) >> 1,
                )
