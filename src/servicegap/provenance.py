"""What was run, where and with which software: kept with every collection, printed in every report."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import sqlalchemy as sa

from servicegap.store import Store
from servicegap.study import ModelPlan, Study, now
from servicegap.tables import RUNS

_PACKAGES = ("servicegap", "aiohttp", "xllamacpp", "numpy", "scipy", "sqlalchemy", "pydantic")


def software() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Return what is known of the machine, without its name or its user's."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}


def start_run(store: Store, study: Study, model: ModelPlan, described: dict[str, Any]) -> int:
    """Note that a collection from a model begins; return its number."""
    provenance = {
        "model": described,
        "conditions": [condition.model_dump() for condition in study.plan.conditions],
        "seed": study.plan.seed,
        "seed_note": "derived per prompt and sample; fields that are null were not sent",
        "asked": model.model_dump(exclude={"base_url"}),
        "software": software(),
        "machine": machine(),
    }
    row = sa.insert(RUNS).values(model=model.id, started=now(), provenance=json.dumps(provenance))
    with store.writing() as connection:
        return int(connection.execute(row.returning(RUNS.c.id)).scalar_one())


def end_run(store: Store, run: int, served: Collection[str]) -> None:
    """Note that a collection ended, and what the server called the model in its answers."""
    with store.writing() as connection:
        known = connection.execute(sa.select(RUNS.c.provenance).where(RUNS.c.id == run)).scalar_one()
        provenance = json.dumps({**json.loads(known), "served_models": sorted(served)})
        connection.execute(sa.update(RUNS).where(RUNS.c.id == run).values(ended=now(), provenance=provenance))


#: What tells that a model of one name was another one: the file, the server, the server's own word for it.
_IDENTITY = {"sha256": "files", "base_url": "servers", "chat_template_sha256": "chat templates"}


def changed_models(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tell which models were not the same in all their runs, though they have one name in the study."""
    found = []
    for model in dict.fromkeys(run["model"] for run in runs):
        provenance = [run["provenance"] for run in runs if run["model"] == model]
        seen = {what: {str(p["model"].get(key)) for p in provenance} for key, what in _IDENTITY.items()}
        seen["models named by the server"] = {name for p in provenance for name in p.get("served_models", [])}
        found += [
            f"{model}: its answers come from different {what}: {', '.join(sorted(values))}; "
            "they are analysed as those of one model"
            for what, values in seen.items()
            if len(values) > 1
        ]
    return found


def read_runs(store: Store) -> list[dict[str, Any]]:
    """Return what is noted of every collection, oldest first."""
    with store.reading() as connection:
        rows = connection.execute(sa.select(RUNS).order_by(RUNS.c.id)).mappings().all()
    return [{**row, "provenance": json.loads(row["provenance"])} for row in rows]
