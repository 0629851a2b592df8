"""The two sides of a comparison: what each study has, which runs belong together, what else differs.

Not here: any estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl
import sqlalchemy as sa

from servicegap.errors import DataError
from servicegap.labels import labelled_responses
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import TEMPLATES

Run = tuple[str, str]
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: the labelled responses of a study, or of a part of its runs.

    ``texts`` has the text of each template: two studies may give one id to different texts. ``model`` and
    ``condition`` are those chosen, None = all.
    """

    study: Study
    frame: pl.DataFrame
    texts: Mapping[str, str]
    model: str | None = None
    condition: str | None = None

    @property
    def name(self) -> str:
        """How messages name the study."""
        return str(self.study.folder)

    @property
    def runs(self) -> list[Run]:
        """The models and conditions with responses."""
        return sorted(set(zip(self.frame["model"], self.frame["condition"], strict=True)))

    def of(self, model: str | None, condition: str | None) -> Side:
        """Return the side of one model, or one condition, alone (None = all).

        Raises
        ------
        DataError
            A model or condition without responses.
        """
        rows, problems = self.frame, []
        for column, wanted in (("model", model), ("condition", condition)):
            if wanted is None:
                continue
            there = sorted(set(self.frame[column]))
            if wanted not in there:
                problems.append(
                    f"{self.name}: no responses of {column} {wanted!r}; there: {', '.join(there)}"
                )
            rows = rows.filter(pl.col(column) == wanted)
        if not problems and not rows.height:
            problems.append(f"{self.name}: no responses of model {model!r} under condition {condition!r}")
        if problems:
            raise DataError(*problems)
        return replace(self, frame=rows, model=model, condition=condition)

    def rows(self, run: Run) -> pl.DataFrame:
        """Return the responses of one run."""
        return self.frame.filter((pl.col("model") == run[0]) & (pl.col("condition") == run[1]))


def read_side(study: Study, store: Store) -> Side:
    """Read what a study has for a comparison.

    Raises
    ------
    DataError
        No response has been collected, or none has a label.
    """
    frame = labelled_responses(study, store)
    if not frame.height:
        raise DataError(f"{study.folder}: there are no responses to compare; collect or import some first")
    if frame["category"].null_count() == frame.height:
        raise DataError(f"{study.folder}: no response has a label; run: servicegap annotate {study.folder}")
    with store.reading() as connection:
        texts = {row.id: row.text for row in connection.execute(sa.select(TEMPLATES.c.id, TEMPLATES.c.text))}
    return Side(study, frame, texts)


def check_plans(baseline: Side, compared: Side) -> None:
    """Raise DataError unless reference and level are the same on both sides."""
    one, other = baseline.study.plan.plan, compared.study.plan.plan
    different = [
        f"{what} is {a!r} in {baseline.name} and {b!r} in {compared.name}"
        for what, a, b in (("reference", one.reference, other.reference), ("level", one.level, other.level))
        if a != b
    ]
    if different:
        raise DataError(f"{'; '.join(different)}; make both study.yaml say the same under plan")


def belonging_runs(baseline: Side, compared: Side) -> list[tuple[Run, Run]]:
    """Return the pairs of runs of one model and condition, as far as these were not chosen for each side.

    Where no two have both in common, and each side has one run, these belong together.

    Raises
    ------
    DataError
        No runs belong together.
    """

    def key(side: Side, run: Run) -> tuple[str | None, str | None]:
        return (None if side.model else run[0], None if side.condition else run[1])

    place = {key(compared, run): run for run in compared.runs}
    found = [(run, place[key(baseline, run)]) for run in baseline.runs if key(baseline, run) in place]
    if not found and len(baseline.runs) == len(compared.runs) == 1:
        return [(baseline.runs[0], compared.runs[0])]
    if not found:
        raise DataError(
            f"no model and condition is in both (baseline {baseline.name}: {listed(baseline.runs)}; "
            f"compared {compared.name}: {listed(compared.runs)}); say which belong together with "
            "--models M1 M2 or --conditions C1 C2"
        )
    return found


def listed(runs: Sequence[Run]) -> str:
    """Return runs as messages name them."""
    return ", ".join(f"{model} under {condition}" for model, condition in runs)


def differences_beside(baseline: Side, one: Run, compared: Side, other: Run) -> Iterator[str]:
    """Yield what differs besides the answers: settings, samples, annotators."""
    settings = [_settings(side, run) for side, run in ((baseline, one), (compared, other))]
    for what in settings[0] | settings[1]:
        before, after = (_short(each.get(what)) for each in settings)
        if before != after:
            yield f"{what}: {before} -> {after}"


def _settings(side: Side, run: Run) -> dict[str, object]:
    condition = next(each for each in side.study.plan.conditions if each.id == run[1])
    fields = condition.model_dump(exclude={"id", "decoding"})
    annotators = (
        side.rows(run).filter(pl.col("annotator").is_not_null()).select("annotator", "annotator_version")
    )
    names = sorted({f"{name} {version or ''}".strip() for name, version in annotators.iter_rows()})
    return {
        "model": run[0],
        "condition": run[1],
        **{{"system": "system prompt"}.get(name, name): value for name, value in fields.items()},
        **condition.decoding.model_dump(),
        "samples": side.study.plan.samples,
        "annotators": ", ".join(names),
    }


def _short(value: object) -> str:
    text = "not set" if value is None or value == () else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
