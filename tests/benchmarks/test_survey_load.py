"""Thirty listeners at once, at a listener's pace, through the real server.

Each is a websocket that speaks the dashboard's protocol: it gets every message and every byte of
sound that a browser would get, and neither draws nor plays. A run is timed from the click to the
server's last word, the sound included.
"""

import asyncio
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "dashboards"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
LISTENERS, CLIP, THINK = 30, 20.0, 7.0  # people; seconds of a clip; seconds before each answer


def test_thirty_listeners_at_once_lose_no_rating(tmp_path, measured):
    import psutil
    import survey_room
    from raw_listener import RawListener

    room = survey_room.room(tmp_path / "survey", people=LISTENERS, practice=0, seconds=CLIP)
    (tmp_path / "home").mkdir()
    server = survey_room.Server(room, tmp_path / "home")
    rng = np.random.default_rng(0)
    starts = rng.uniform(0, CLIP + 2 * THINK, LISTENERS)
    sent = {}

    async def listen(number):
        await asyncio.sleep(starts[number])
        async with RawListener(server.address, room.codes[number]) as someone:
            await someone.begin()
            for clip in range(4):
                value = int(rng.integers(1, 11))
                pause = float(rng.uniform(0.5, 1.5))
                await someone.rate(value, CLIP, THINK * pause)
                sent[number, clip] = value
            return someone.seconds

    async def everybody():
        return await asyncio.gather(*(listen(number) for number in range(LISTENERS)))

    process = psutil.Process(server.process.pid)
    try:
        busy = sum(process.cpu_times()[:2])
        begun = time.perf_counter()
        runs = np.concatenate([np.array(seconds) for seconds in asyncio.run(everybody())])
        took = time.perf_counter() - begun
        busy = sum(process.cpu_times()[:2]) - busy
    finally:
        server.stop()
    with room.store.reading() as connection:
        kept = connection.exec_driver_sql("select score from rating").scalars().all()
    assert sorted(kept) == sorted(sent.values())
    slow, worst = np.percentile(runs, [95, 100])
    size = next(room.store.clips.iterdir()).stat().st_size
    measured(
        "survey",
        "an answer, from the click to the next clip",
        size=f"{LISTENERS} listeners at once, {len(kept)} ratings in {took:.0f} s, clips of"
        f" {size / 1000:.0f} kB; wall clock, 95 of 100 below {1000 * slow:.0f} ms, slowest"
        f" {1000 * worst:.0f} ms; {1000 * busy / len(runs):.0f} ms of the processor",
        ours=float(np.median(runs)),
    )
