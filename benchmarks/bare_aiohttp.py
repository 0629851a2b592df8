"""The least that asking takes: N chat calls through aiohttp, 50 at a time, nothing stored.

python benchmarks/bare_aiohttp.py BASE_URL N
"""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp

CONNECTIONS = 50


async def ask_all(url: str, calls: int) -> None:
    waiting = iter(range(calls))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

        async def work() -> None:
            for number in waiting:
                body = {
                    "model": "mock-1",
                    "messages": [
                        {"role": "system", "content": "You are a helpful assistant. Complete the [BLANK]."},
                        {"role": "user", "content": f"Number {number} went to the shop to buy [BLANK]."},
                    ],
                    "max_tokens": 512,
                    "seed": number,
                }
                async with session.post(url, json=body) as response:
                    answer = json.loads(await response.read())
                    if not answer["choices"][0]["message"]["content"]:
                        raise SystemExit("an empty answer")

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    asyncio.run(ask_all(f"{sys.argv[1]}/chat/completions", int(sys.argv[2])))
