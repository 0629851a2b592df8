"""What is noted of every collection."""

from __future__ import annotations

import json
import platform

from conftest import SmallStudy

from servicegap.provenance import end_run, machine, read_runs, software, start_run
from servicegap.store import Store


def test_a_run_is_noted_from_its_start_to_its_end(small: SmallStudy, store: Store) -> None:
    study = small.open()
    first = start_run(store, study, study.plan.models[0], {"served": "x", "quantisation": "Q4"})
    [run] = read_runs(store)
    assert (run["id"], run["model"], run["ended"]) == (first, "openai:mock-1", None)
    end_run(store, first, {"mock-1 (fp_1)"})
    second = start_run(store, study, study.plan.models[0], {})
    runs = read_runs(store)
    assert [each["id"] for each in runs] == [first, second]
    assert runs[0]["started"] <= runs[0]["ended"]
    noted = runs[0]["provenance"]
    assert noted["model"] == {"served": "x", "quantisation": "Q4"}
    assert noted["served_models"] == ["mock-1 (fp_1)"]
    assert noted["seed"] == study.plan.seed
    [condition] = noted["conditions"]
    assert condition["system"] == "Complete the [BLANK]."
    assert condition["decoding"]["temperature"] is None


def test_software_and_machine_are_named_without_their_owner(small: SmallStudy, store: Store) -> None:
    assert software()["python"] == platform.python_version()
    assert {"servicegap", "numpy", "scipy", "sqlalchemy"} <= software().keys()
    assert set(machine()) == {"system", "processor", "cores"}
    assert machine()["cores"] >= 1
    study = small.open()
    start_run(store, study, study.plan.models[0], {})
    noted = json.dumps(read_runs(store))
    assert str(small.folder) not in noted
    assert "127.0.0.1" not in noted, "a base URL can carry a secret"
