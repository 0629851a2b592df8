"""results.json as the report reads it: estimates as records, by run (a model under a condition).

Unknown kinds of estimate and unknown keys are kept out of the way, so that results of later versions can
still be shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from servicegap.records import CONTROL, Estimate

_FIELDS = frozenset(field.name for field in dataclasses.fields(Estimate))
_REMARK_FIELDS = frozenset(("about", "text", "group", "model", "condition"))
#: Stands for "any value" where None has a meaning.
ANY: Any = object()


@dataclass(frozen=True, slots=True)
class Run:
    """A model under a condition, and everything estimated of it."""

    model: str | None
    condition: str | None
    estimates: Sequence[Estimate]

    def pick(
        self,
        kind: str,
        *,
        outcome: str = ANY,
        group: str | None = ANY,
        target: str | None = None,
        signal: str | None = None,
        template: str | None = None,
    ) -> list[Estimate]:
        """Return the estimates of a kind; ``ANY`` = whatever it is."""
        wanted = {
            "outcome": outcome,
            "group": group,
            "target": target,
            "signal": signal,
            "template": template,
        }
        wanted = {key: value for key, value in wanted.items() if value is not ANY}
        return [
            estimate
            for estimate in self.estimates
            if estimate.kind == kind and all(getattr(estimate, key) == value for key, value in wanted.items())
        ]

    @property
    def labels(self) -> str | None:
        """Who labelled what the planned gaps rest on; None where there are none."""
        return next((e.labels for e in self.estimates if e.planned and e.kind == "gap"), None)

    @property
    def automatic(self) -> bool:
        """Whether its planned gaps rest on automatic labels that nobody corrected."""
        return self.labels == "automatic-uncorrected"

    def outcomes(self, kind: str) -> list[str]:
        """Return the outcomes that have estimates of a kind, in their order."""
        return list(dict.fromkeys(estimate.outcome for estimate in self.estimates if estimate.kind == kind))

    def one(self, kind: str, outcome: str, group: str | None, target: str | None = None) -> Estimate | None:
        """Return the estimate that is of this group as a whole, if there is one."""
        found = self.pick(kind, outcome=outcome, group=group, target=target)
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Remark:
    """What figures come to, in one sentence; ``about`` is the kind of estimate behind it."""

    about: str
    text: str
    group: str | None = None
    model: str | None = None
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """What the report says is made from this."""

    raw: Mapping[str, Any]
    runs: Sequence[Run]
    primary: str
    reference: str
    level: float
    groups: Sequence[str]
    remarks: Sequence[Remark]

    def remark(self, run: Run, about: str, group: str) -> str | None:
        """Return what is remarked on a group in a run, if anything is."""
        wanted = (about, group, run.model, run.condition)
        found = (r.text for r in self.remarks if (r.about, r.group, r.model, r.condition) == wanted)
        return next(found, None)

    def part(self, key: str) -> Mapping[str, Any]:
        """Return a part of results.json that is an object; empty where it is absent."""
        return self.raw.get(key) or {}

    def rows(self, key: str) -> Sequence[Any]:
        """Return a part of results.json that is a list; empty where it is absent."""
        return self.raw.get(key) or ()

    @property
    def automatic(self) -> bool:
        """Whether the labels are automatic and uncorrected."""
        return self.part("labels").get("kind") == "automatic-uncorrected"


def read_results(raw: Mapping[str, Any]) -> Results:
    """Read results.json.

    Parameters
    ----------
    raw : mapping
        As `analyse` writes it; estimates are flat objects with the fields of :class:`Estimate`.
    """
    estimates = read_estimates(raw["estimates"])
    plan = raw.get("plan") or {}
    reference = plan.get("reference") or "White"
    by_run: dict[tuple[str | None, str | None], list[Estimate]] = {}
    for estimate in estimates:
        by_run.setdefault((estimate.model, estimate.condition), []).append(estimate)
    return Results(
        raw=raw,
        runs=[Run(model, condition, found) for (model, condition), found in by_run.items()],
        primary=plan.get("primary") or "refused",
        reference=reference,
        level=plan.get("level") or 0.95,
        groups=_groups(raw, estimates, reference),
        remarks=[
            Remark(**{key: value for key, value in row.items() if key in _REMARK_FIELDS})
            for row in raw.get("remarks") or ()
        ],
    )


def read_estimates(rows: Sequence[Mapping[str, Any]]) -> list[Estimate]:
    """Return flat objects as records, without keys that are not known."""
    return [Estimate(**{key: value for key, value in row.items() if key in _FIELDS}) for row in rows]


def _groups(raw: Mapping[str, Any], estimates: Sequence[Estimate], reference: str) -> list[str]:
    """Return the reference group first, the others in the order of the design."""
    designed = [row["group"] for row in (raw.get("design") or {}).get("groups") or ()]
    # Other kinds also name parts of groups, such as the women's names of one.
    estimated = [estimate.group for estimate in estimates if estimate.kind in ("rate", "gap", "share")]
    known = dict.fromkeys(group for group in (*designed, *estimated) if group and group != CONTROL)
    return [*([reference] if reference in known else []), *(group for group in known if group != reference)]
