"""A visitor who asks at a pace that no answer changes: `python -m tests.app.flood ADDRESS FILE N
PACE`, a process of its own, so that it is as fast as it says. It writes a line of JSON: how many
requests a second were really sent, and what came back.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 200  # one answers its requests one after the other: few would not be a flood
HEADERS = (
    "POST /gradio_api/component_server HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 10.0.9.9\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


async def answers(reader: asyncio.StreamReader, count: int) -> list[tuple[int, bytes]]:
    """(status, body) of so many answers of one connection."""
    found = []
    for _ in range(count):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        found.append((int(head.split()[1]), await reader.readexactly(length)))
    return found


async def flood(address: str, body: bytes, number: int, pace: float) -> dict[str, Any]:
    """Send `number` requests, `pace` a second, over connections that wait for no answer."""
    place = urlsplit(address)
    request = HEADERS.format(host=place.netloc, length=len(body)).encode() + body
    streams = [
        await asyncio.open_connection(place.hostname, place.port) for _ in range(CONNECTIONS)
    ]
    each = number // CONNECTIONS
    reading = [asyncio.create_task(answers(reader, each)) for reader, _ in streams]
    never = asyncio.get_running_loop().create_future()
    began = time.monotonic()
    for index in range(each * CONNECTIONS):
        if (left := began + index / pace - time.monotonic()) > 0.0:
            await asyncio.wait([never], timeout=left)
        streams[index % CONNECTIONS][1].write(request)
    taken = time.monotonic() - began
    found = [answer for part in await asyncio.gather(*reading) for answer in part]
    for _, writer in streams:
        writer.close()
    refused = Counter(json.loads(body)["detail"][:40] for status, body in found if status == 429)
    return {
        "sent a second": round(each * CONNECTIONS / taken, 1),
        "statuses": Counter(str(status) for status, _ in found),
        "sentences": refused,
    }


if __name__ == "__main__":
    address, file, number, pace = sys.argv[1:]
    told = flood(address, Path(file).read_bytes(), int(number), float(pace))
    sys.stdout.write(json.dumps(asyncio.run(told)))
