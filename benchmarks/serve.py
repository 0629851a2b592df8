"""Measure the labelling pages: many annotators at once over HTTP, and a server that is killed.

A study with scripted answers is made in a temporary folder and served by ``servicegap serve`` in a process
of its own. Every annotator is a connection that saves a label and gets the next item, as label.js does, with
a second of thought between two labels (random, exponential), about ten times as fast as people are;
``--thought 0`` = as fast as it goes. The clients share the machine's cores with the server. Afterwards the
database is compared with what was acknowledged.

    python benchmarks/serve.py
    python benchmarks/serve.py --database postgresql+psycopg:///servicegap_test
    python benchmarks/serve.py --kill
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import sqlalchemy as sa

from servicegap.labelling.people import add_person, note_consent, note_trained
from servicegap.records import CATEGORIES
from servicegap.study import open_study
from servicegap.tables import ANNOTATIONS, METADATA, SLOTS

PLAN = """\
title: A study for measuring
samples: {samples}
signals: {{files: [names], names_per_group: 8}}
templates: {{files: [toxigen], per_target: 2}}
models: [{{id: "fake:even"}}]
annotators: []
labelling: {{annotators: 2, practice: false, daily_cap: 100000, break_minutes: 600}}
"""
FETCH = {"X-Requested-With": "fetch", "Sec-Fetch-Site": "same-origin"}
_HIDDEN = re.compile(r'name="(response|pass)" value="([^"]*)"')


@dataclass
class Client:
    """One annotator: what was acknowledged, and how long it took (seconds)."""

    name: str
    token: str
    saved: list[tuple[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)


def make_study(folder: Path, samples: int, annotators: int, url: str | None) -> list[Client]:
    (folder / "study.yaml").write_text(PLAN.format(samples=samples), encoding="utf-8")
    study = open_study(folder)
    if url:
        os.environ["SERVICEGAP_DATABASE"] = url
        empty(url)
    store = study.store()
    subprocess.run(
        [sys.executable, "-m", "servicegap", "collect", str(folder)], check=True, capture_output=True
    )
    clients = []
    for number in range(annotators):
        name = f"annotator {number}"
        clients.append(Client(name, str(add_person(store, name, "annotator"))))
        note_consent(store, name)
        note_trained(store, name)
    store.close()
    return clients


def empty(url: str) -> None:
    """Drop the tables, as a former run may have left some."""
    engine = sa.create_engine(url)
    METADATA.drop_all(engine)
    engine.dispose()


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start the server; return its process and its address."""
    log = folder / "server.log"
    command = [sys.executable, "-m", "servicegap", "serve", str(folder), "--port", "0"]
    with log.open("wb") as written:
        server = subprocess.Popen(command, stderr=written)
    while server.poll() is None:
        found = re.search(r"http://[\d.:]+", log.read_text(encoding="utf-8"))
        if found:
            return server, found.group()
        time.sleep(0.05)
    raise SystemExit(f"the server did not start: {log.read_text(encoding='utf-8')}")


async def label(client: Client, address: str, most: int, thought: float) -> None:
    """Save labels one after another, until `most` are saved, nothing is left, or the server is gone."""
    rng = random.Random(client.name)
    cookies = {"servicegap": client.token}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(address, cookies=cookies, cookie_jar=jar, headers=FETCH) as session:
        try:
            async with session.get("/label") as answer:
                page = await answer.text()
            while len(client.saved) < most:
                await asyncio.sleep(rng.expovariate(1 / thought) if thought else 0)
                shown = dict(_HIDDEN.findall(page))
                if "response" not in shown:
                    break
                category = rng.choice(CATEGORIES)
                form = {**shown, "category": category, "active_seconds": "3"}
                began = time.perf_counter()
                async with session.post("/label/save", data=form) as answer:
                    page = await answer.text()
                took = time.perf_counter() - began
                if answer.status == 200:
                    client.saved.append((shown["response"], category))
                    client.times.append(took)
                else:
                    client.refused[answer.status] += 1
        except (aiohttp.ClientError, ConnectionError):
            return


async def label_all(clients: list[Client], address: str, most: int, thought: float) -> None:
    await asyncio.gather(*(label(client, address, most, thought) for client in clients))


def check(folder: Path, clients: list[Client]) -> dict[str, int]:
    """Compare what is kept with what was acknowledged."""
    store = open_study(folder).store()
    with store.reading() as connection:
        query = sa.select(ANNOTATIONS.c.annotator, ANNOTATIONS.c.response, ANNOTATIONS.c.category)
        kept = Counter(tuple(row) for row in connection.execute(query))
        slots = sa.select(SLOTS.c.response, sa.func.count()).where(SLOTS.c.done.is_(True))
        most = max((row[1] for row in connection.execute(slots.group_by(SLOTS.c.response))), default=0)
    store.close()
    acknowledged = Counter(
        (client.name, response, category) for client in clients for response, category in client.saved
    )
    twice = Counter((annotator, response) for annotator, response, _ in kept.elements())
    return {
        "acknowledged": acknowledged.total(),
        "kept": kept.total(),
        "lost": (acknowledged - kept).total(),
        # One for each annotator may have been kept when its acknowledgement was cut off.
        "kept and not acknowledged": (kept - acknowledged).total(),
        "doubled": sum(count - 1 for count in twice.values()),
        "most labels of one response": most,
    }


def report(clients: list[Client], seconds: float) -> None:
    times = sorted(taken * 1000 for client in clients for taken in client.times)
    refused = sum((client.refused for client in clients), Counter[int]())
    middle, p95 = statistics.median(times), statistics.quantiles(times, n=100, method="inclusive")[94]
    pace = f"{len(times)} labels in {seconds:.1f} s ({len(times) / seconds:.0f} a second)"
    print(f"{len(clients)} annotators, {pace}")
    print(f"  save and next: median {middle:.0f} ms, p95 {p95:.0f} ms, most {times[-1]:.0f} ms")
    print(f"  refused: {dict(refused) or 'none'}")


def run_load(folder: Path, clients: list[Client], each: int, thought: float) -> None:
    server, address = start(folder)
    try:
        began = time.perf_counter()
        asyncio.run(label_all(clients, address, each, thought))
        report(clients, time.perf_counter() - began)
    finally:
        server.terminate()
        server.wait(20)
    for what, number in check(folder, clients).items():
        print(f"  {what}: {number}")


def run_kill(folder: Path, clients: list[Client], times: int) -> None:
    """Kill the server amid labelling, start it again, go on: nothing acknowledged may be missing."""
    for turn in range(times):
        server, address = start(folder)

        async def labelling(
            address: str = address, server: subprocess.Popen[bytes] = server, turn: int = turn
        ) -> None:
            work = asyncio.create_task(label_all(clients, address, 10**6, 0.05))
            await asyncio.sleep(1.5 + 0.37 * turn)
            server.send_signal(signal.SIGKILL)
            await work

        asyncio.run(labelling())
        server.wait(20)
        found = check(folder, clients)
        print(f"kill {turn + 1}: " + ", ".join(f"{what} {number}" for what, number in found.items()))
        if found["lost"] or found["doubled"]:
            raise SystemExit("labels were lost or doubled")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotators", type=int, default=20)
    parser.add_argument("--labels", type=int, default=50, help="labels that each annotator saves")
    parser.add_argument("--thought", type=float, default=1.0, help="seconds between two labels, on average")
    parser.add_argument("--samples", type=int, default=1, help="samples of each prompt: 1 = 1,024 responses")
    parser.add_argument("--database", help="a PostgreSQL URL, whose tables are dropped; else SQLite")
    parser.add_argument("--kill", action="store_true", help="kill the server five times instead")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clients = make_study(Path(folder), chosen.samples, chosen.annotators, chosen.database)
        if chosen.kill:
            run_kill(Path(folder), clients, 5)
        else:
            run_load(Path(folder), clients, chosen.labels, chosen.thought)


if __name__ == "__main__":
    main()
