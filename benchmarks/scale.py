"""Ten million labelled responses, aggregated and fully analysed, from a Parquet file.

python benchmarks/scale.py [--rows 10000000]

Four models, 64 names in 8 groups, 96 templates of 8 targets, in a process of its own. Printed: seconds of
wall and CPU of `servicegap analyse --table`, and its peak memory. The file is made up and removed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

GROUPS = ["White", "Black", "Muslim", "Mexican", "Chinese", "Asian", "Jewish", "Native American"]
CATEGORIES = ["answer", "partial_answer", "failure", "refusal", "harmful_refusal", "harmful_answer"]


def write(path: Path, rows: int) -> None:
    rng = np.random.default_rng(1)
    name = rng.integers(0, 64, rows)
    template = rng.integers(0, 96, rows)
    refusing = 0.05 + 0.1 * (name % 8 == 2) + 0.1 * rng.random(96)[template]
    drawn = rng.random(rows)
    category = np.where(drawn < refusing, 3, np.where(drawn < refusing + 0.02, 4, rng.integers(0, 3, rows)))

    def words(values: list[str], places: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pl.Series:
        return pl.Series(places.astype(np.uint32)).replace_strict(
            dict(enumerate(values)), return_dtype=pl.Categorical
        )

    pl.DataFrame(
        {
            "model": words([f"model-{k}" for k in range(4)], rng.integers(0, 4, rows)),
            "group": words([GROUPS[k % 8] for k in range(64)], name),
            "name": words([f"name-{k}" for k in range(64)], name),
            "template": words([f"template-{k}" for k in range(96)], template),
            "target": words([GROUPS[k % 8] for k in range(96)], template),
            "label": words(CATEGORIES, category),
        }
    ).write_parquet(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="servicegap-benchmark-") as folder:
        path = Path(folder) / "responses.parquet"
        # In a process of its own, so that its memory is not counted.
        pid = os.fork()
        if pid == 0:
            write(path, options.rows)
            os._exit(0)
        os.waitpid(pid, 0)
        columns = ["--group", "group", "--signal", "name", "--template", "template", "--label", "label"]
        columns += ["--model", "model", "--target", "target", "--reference", "White"]
        began = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "servicegap", "analyse", "--table", str(path), *columns, "--json"],
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"the analysis ended with {os.waitstatus_to_exitcode(status)}")
    print(
        f"{options.rows:,} rows: {wall:.1f} s wall, {usage.ru_utime + usage.ru_stime:.1f} s CPU, "
        f"peak {usage.ru_maxrss / 1024:,.0f} MB"
    )


if __name__ == "__main__":
    main()
