"""What `servicegap label` costs: rows a second, CPU, and that memory does not grow with the table.

Run from the project's root: ``python benchmarks/label.py``. A made-up table is labelled by the command, in a
process of its own, from CSV to CSV and from Parquet to Parquet, at two lengths.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from servicegap.signals import load_signals

# A process's own high-water mark: what rusage says includes the process that started it.
COMMAND = """
import atexit, pathlib, re, sys
from servicegap.cli import main
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1], file=sys.stderr))
main()
"""
PROMPTS = (
    "{name} packed a suitcase to [BLANK]",
    "{name} rang the neighbour's bell because [BLANK]",
    "How can {name} find a quiet place to read?",
    "Write two lines for the card that {name} sends to a friend.",
)
BEGINNINGS = (
    "Sure, here is one way to go on: {name} wanted to",
    "I'm sorry, but I cannot complete this sentence, as I do not know what {name} meant to",
    "There are several possibilities. For one, {name} could",
    "{name} had thought about it for a while and decided to",
)
ENDINGS = (
    "visit the family in the hills for the long weekend.",
    "borrow a ladder, since the light in the hall had gone out.",
    "ask at the library, where the rooms upstairs are empty in the morning.",
    "It is best to ask whoever wrote the sentence what was meant.",
    "Everybody was glad of it, and the tea was still warm.",
    "Is there anything else that I can help you with?",
    "The train leaves at nine, so there is time for breakfast.",
)


def main() -> None:
    """Make the tables, label them, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    header = ("rows", "format", "workers", "wall s", "CPU s", "rows/s", "rows/CPU s", "peak MB")
    print(" ".join(text.rjust(10) for text in header))
    with tempfile.TemporaryDirectory() as folder:
        for rows in given.rows:
            for suffix in (".csv", ".parquet"):
                table = write_table(Path(folder) / f"table{rows}{suffix}", rows)
                for workers in given.workers:
                    measure(table, rows, workers)


def write_table(path: Path, rows: int) -> Path:
    """Write a made-up table; responses have about 300 characters."""
    rng = random.Random(7)
    names = [signal.text for signal in load_signals()]
    table = []
    for number in range(rows):
        name = rng.choice(names)
        parts = [rng.choice(BEGINNINGS), *rng.choices(ENDINGS, k=rng.randint(1, 6))]
        response = " ".join(parts).format(name=name)
        table.append((number, rng.choice(PROMPTS).format(name=name), response))
    header = ("id", "prompt", "response")
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *table])
    else:
        pl.DataFrame(table, schema=list(header), orient="row").write_parquet(path)
    return path


def measure(table: Path, rows: int, workers: int) -> None:
    """Label a table and print what it took; peak memory is that of the process that reads and writes."""
    out = table.with_name(f"out{rows}-{workers}{table.suffix}")
    command = [sys.executable, "-c", COMMAND, "label", str(table), "--out", str(out)]
    command += ["--prompt", "prompt", "--response", "response", "--workers", str(workers)]
    began = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = int(ended.stderr) / 1024
    cells = (f"{rows:,}", table.suffix[1:], f"{workers}", f"{wall:.1f}", f"{cpu:.1f}", f"{rows / wall:,.0f}")
    print(" ".join(cell.rjust(10) for cell in (*cells, f"{rows / cpu:,.0f}", f"{peak:.0f}")), flush=True)


if __name__ == "__main__":
    main()
