"""What `servicegap collect` costs beside a bare aiohttp script that stores nothing.

python benchmarks/collect.py [--rounds 5] [--latency-ms 0 50 300]

Both ask a local mock 5,376 times, 50 at once, as whole processes with their imports, in turns; modules are
compiled beforehand, as pip leaves them. Printed: medians of CPU seconds, wall seconds and peak memory, and
the ratios to the bare script in the same round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CALLS = 5376
CONNECTIONS = 50


@dataclass(frozen=True)
class Cost:
    cpu: float
    wall: float
    peak_mb: float


def measured(command: list[str], compiled: Path) -> Cost:
    """Run a command and return what it cost; its own output is dropped."""
    # Compiled modules are kept elsewhere than beside the sources, whatever the environment says of them.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(compiled)
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(command)}: ended with {os.waitstatus_to_exitcode(status)}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def prepared_study(folder: Path, base_url: str) -> None:
    command = [sys.executable, "-m", "servicegap", "init", str(folder), "--preset", "study"]
    subprocess.run(
        [*command, "--model", "openai:mock-1", "--base-url", base_url], check=True, stdout=subprocess.DEVNULL
    )
    plan = folder / "study.yaml"
    text = plan.read_text(encoding="utf-8")
    plan.write_text(
        text.replace("    base_url:", f"    concurrency: {CONNECTIONS}\n    base_url:"), encoding="utf-8"
    )


def one_round(base_url: str, folder: Path) -> tuple[Cost, Cost]:
    compiled = folder / "compiled"
    bare_script = str(ROOT / "benchmarks" / "bare_aiohttp.py")
    bare = measured([sys.executable, bare_script, base_url, str(CALLS)], compiled)
    study = folder / "study"
    prepared_study(study, base_url)
    ours = measured([sys.executable, "-m", "servicegap", "collect", str(study)], compiled)
    shutil.rmtree(study)
    return bare, ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0, 50, 300])
    options = parser.parse_args()
    print(f"{CALLS} calls, {CONNECTIONS} at once, medians of {options.rounds} rounds")
    print("latency ms | bare CPU s | our CPU s (ratio) | bare wall s | our wall s (ratio) | peak MB")
    for latency in options.latency_ms:
        server = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "fake_server.py"), "--latency-ms", str(latency)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            base_url = server.stdout.readline().strip()
            with tempfile.TemporaryDirectory(prefix="servicegap-benchmark-") as folder:
                one_round(base_url, Path(folder))  # compiles; not counted
                rounds = [one_round(base_url, Path(folder)) for _ in range(options.rounds)]
        finally:
            server.terminate()
            server.wait()
        cpu = statistics.median(ours.cpu / bare.cpu for bare, ours in rounds)
        wall = statistics.median(ours.wall / bare.wall for bare, ours in rounds)
        print(
            f"{latency:10g} | {statistics.median(b.cpu for b, _ in rounds):10.2f} | "
            f"{statistics.median(o.cpu for _, o in rounds):16.2f} ({cpu:.2f}) | "
            f"{statistics.median(b.wall for b, _ in rounds):11.2f} | "
            f"{statistics.median(o.wall for _, o in rounds):17.2f} ({wall:.2f}) | "
            f"{statistics.median(o.peak_mb for _, o in rounds):7.0f}"
        )


if __name__ == "__main__":
    main()
