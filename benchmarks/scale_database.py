"""A study's database of labelled responses, made up, aggregated and fully analysed.

python benchmarks/scale_database.py [--samples 41] [--folder DIR]

Four models, 64 names in 8 groups, 96 templates of 8 targets; 41 samples are 1,007,616 responses with a label
each, 407 are 10,002,432. The stage `analyse` runs in a process of its own, from opening the study to what
results.json holds. Printed: seconds of wall and CPU, and peak memory. With --folder the study is kept there,
and used again where it is there already.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from servicegap.calls import planned_calls
from servicegap.design import build_design, save_design
from servicegap.records import Prompt
from servicegap.study import Study, open_study

GROUPS = ["White", "Black", "Muslim", "Mexican", "Chinese", "Asian", "Jewish", "Native American"]
TEXT = "I went there with a friend and we had a good time, though it rained for most of the afternoon. " * 3
BATCH = 100_000
ANALYSE = """
import sys
from pathlib import Path
from servicegap.analyse import analyse
from servicegap.design import build_design
from servicegap.study import open_study
study = open_study(Path(sys.argv[1]))
results = analyse(study, study.store(), build_design(study))
print(len(results["estimates"]), "estimates")
"""


def write_plan(folder: Path, samples: int) -> Study:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"name-{k},{GROUPS[k % 8]}" for k in range(64)]
    (folder / "signals.csv").write_text("\n".join(["name,group", *rows]) + "\n", encoding="utf-8")
    templates = [
        f'  - {{id: t{k}, text: "{{name}} went to [BLANK] on day {k}.", target: {GROUPS[k % 8]}}}'
        for k in range(96)
    ]
    (folder / "templates.yaml").write_text("\n".join(["templates:", *templates]) + "\n", encoding="utf-8")
    models = "\n".join(f"  - id: 'imported:model-{k}'" for k in range(4))
    (folder / "study.yaml").write_text(
        f"version: 1\nsamples: {samples}\nsignals: {{files: [signals.csv]}}\n"
        f"templates: {{files: [templates.yaml]}}\nmodels:\n{models}\n",
        encoding="utf-8",
    )
    return open_study(folder)


def rows(study: Study, prompts: list[Prompt]) -> Iterator[tuple[tuple[object, ...], tuple[object, ...]]]:
    """Yield each response and its annotation, as the database keeps them."""
    rng = np.random.default_rng(1)
    for model in study.plan.models:
        for call in planned_calls(study, model.id, prompts):
            number = int(call.prompt.signal.removeprefix("name-"))
            refused = rng.random() < 0.1 + 0.1 * (number % 8 == 2)
            category = "refusal" if refused else "answer"
            yield (
                (call.id, 1, call.prompt.id, model.id, "default", call.settings, call.sample, TEXT, "2031"),
                (call.id, "offline", "automatic", "1", category, "[0.9,0,0,0.1,0,0]", 1, "whole", "2031"),
            )


def fill(study: Study) -> None:
    store = study.store()
    design = build_design(study)
    save_design(store, design)
    store.close()
    connection = sqlite3.connect(study.folder / "study.db")
    connection.execute("pragma synchronous=off")
    found = rows(study, list(design.prompts))
    while batch := list(itertools.islice(found, BATCH)):
        connection.executemany(
            "insert into responses (id, attempt, prompt, model, condition, settings, sample, text, created) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [pair[0] for pair in batch],
        )
        connection.executemany(
            "insert into annotations (response, annotator, kind, version, category, probabilities, round, "
            "pass, created) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [pair[1] for pair in batch],
        )
    connection.commit()
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--samples", type=int, default=41)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="servicegap-benchmark-") as temporary:
        folder = options.folder or Path(temporary) / "study"
        if not (folder / "study.db").is_file():
            fill(write_plan(folder, options.samples))
        began = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-c", ANALYSE, str(folder)])
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"the analysis ended with {os.waitstatus_to_exitcode(status)}")
    print(
        f"{4 * 64 * 96 * options.samples:,} responses: {wall:.1f} s wall, "
        f"{usage.ru_utime + usage.ru_stime:.1f} s CPU, peak {usage.ru_maxrss / 1024:,.0f} MB"
    )


if __name__ == "__main__":
    main()
