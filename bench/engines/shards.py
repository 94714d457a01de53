"""Shards: several machines that share one run folder and nothing else.

Each shard claims the jobs that it runs. `claims/JOB.N` is the Nth claim on a job and names the
shard that made it; one shard alone can create it, and it is never changed. `claims/JOB.N.ended`
says that the job ended under that claim, well or not; `claims/JOB.N.left` that its shard left the
job as it was. `shards/NAME` is a shard's sign of life: touched while the shard lives, removed when
it leaves.

A shard lives while its sign of life still changes. Each observer measures that by its own
stopwatch: no machine's clock is ever compared with another's, nor with the file server's.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from bench.files import read_json
from bench.jobs.run_folder import cannot_write

EXPIRY_SECONDS = 60.0
GONE = -1

Standing = Literal["free", "mine", "held", "ended"]


def expiry_seconds() -> float:
    """How long a shard may be silent before the others take over its jobs."""
    return float(os.environ.get("BENCH_CLAIM_SECONDS", EXPIRY_SECONDS))


def stamp_of(sign: Path) -> int | None:
    """A number that changes with every sign of life; `GONE` without a file, None if unreadable."""
    try:
        # Opening a file asks the file server; stat() alone may be answered from a cache.
        with sign.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return GONE
    except OSError:
        return None


def watch(sign: Path, every: float, give_up: Callable[[], None]) -> None:
    """Call `give_up` once the sign of life is gone, from a thread of its own."""

    def look() -> None:
        while stamp_of(sign) != GONE:
            time.sleep(every)
        give_up()

    threading.Thread(target=look, daemon=True).start()


class Shard:
    """One shard, and what it knows of the others' claims; it gives signs of life in its context.

    A claim is valid until its shard has left, or was silent for `expiry` seconds: then the others
    remove its sign of life, and a little later, when its workers have noticed, its jobs are free.
    """

    def __init__(self, root: Path, expiry: float | None = None, run: str | None = None):
        self.root = root
        self.expiry = expiry_seconds() if expiry is None else expiry
        # A job that ended in a run is not run again in that run, however late a shard joins it.
        self.run = os.environ.get("BENCH_RUN", "") if run is None else run
        self.claims, self.signs = root / "claims", root / "shards"
        self.latest: dict[str, int] = {}  # the number of the last claim on each job
        self.standings: dict[str, Standing] = {}
        self.makers: dict[tuple[str, int], tuple[str, str]] = {}  # shard and run of each claim
        self.seen: dict[str, tuple[int, float]] = {}  # each sign's stamp, and since when
        self.before: set[str] | None = None  # what had ended at the first look
        self.name = ""
        self.left = threading.Event()

    @property
    def beat(self) -> float:
        """Seconds between two signs of life, and between a worker's two looks at its shard's."""
        return self.expiry / 6

    def __enter__(self) -> Self:
        try:
            self.claims.mkdir(parents=True, exist_ok=True)
            self.signs.mkdir(parents=True, exist_ok=True)
            self.join()
        except OSError as error:
            raise cannot_write(self.root, error) from None
        self.heart = threading.Thread(target=self.keep_alive, daemon=True)
        self.heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.left.set()
        self.heart.join()
        with suppress(OSError):
            for job in [job for job, standing in self.standings.items() if standing == "mine"]:
                if self.maker(job, self.latest[job])[0] == self.name:
                    (self.claims / f"{job}.{self.latest[job]}.left").touch()
        with suppress(OSError):
            (self.signs / self.name).unlink(missing_ok=True)

    def join(self) -> None:
        """Take a name that no shard has had, and give the first sign of life."""
        name = f"{platform.node() or 'here'}-{os.getpid()}-{secrets.token_hex(4)}"
        (self.signs / name).open("x").close()
        self.name = name

    def keep_alive(self) -> None:
        """Give signs of life until the shard leaves."""
        while not self.left.wait(self.beat):
            self.give_sign()

    def give_sign(self) -> None:
        """Touch the sign of life. Where it was removed, others took over: join as a new shard."""
        # A full disk or a silent file server: the next sign may get through.
        with suppress(OSError):
            try:
                os.utime(self.signs / self.name)  # takes no room on the disk
            except FileNotFoundError:
                self.join()

    def sign_of(self, job: str) -> Path:
        """The sign of life of the shard that made the last claim on the job."""
        return self.signs / self.maker(job, self.latest[job])[0]

    def refresh(self) -> None:
        """Read how all jobs stand now."""
        try:
            names = {entry.name for entry in os.scandir(self.claims)}
        except OSError:
            return  # the next look may succeed
        if self.before is None:
            self.before = {name for name in names if name.endswith(".ended")}
        latest: dict[str, int] = {}
        for name in names:
            job, _, number = name.rpartition(".")
            if number.isdecimal():
                latest[job] = max(int(number), latest.get(job, 0))
        makers = {job: self.maker(job, number) for job, number in latest.items()}
        living = {shard: self.lives(shard) for shard, _ in makers.values()}
        self.latest, self.standings = latest, {}
        for job, (shard, run) in makers.items():
            claim = f"{job}.{latest[job]}"
            if f"{claim}.ended" in names:
                present = living[shard] and self.seen.get(shard, (0,))[0] != GONE
                since = f"{claim}.ended" not in self.before
                if since or present or (self.run and run == self.run):
                    self.standings[job] = "ended"
            elif living[shard] and f"{claim}.left" not in names:
                self.standings[job] = "mine" if shard == self.name else "held"

    def standing(self, job: str) -> Standing:
        """How the job stood at the last look; only a free one, or one of its own, may be begun."""
        return self.standings.get(job, "free")

    def maker(self, job: str, number: int) -> tuple[str, str]:
        """The shard that made the claim, and the run that it made it for.

        A claim cut short by a crash names none: it counts as that of a shard that gives no signs.
        """
        claim = (job, number)
        if claim not in self.makers:
            content = None
            with suppress(OSError):
                content = read_json(self.claims / f"{job}.{number}")
            fields = content if isinstance(content, dict) else {}
            shard = fields.get("shard")
            if not isinstance(shard, str) or not shard or Path(shard).name != shard:
                return f"?{job}.{number}", ""
            self.makers[claim] = (shard, str(fields.get("run", "")))
        return self.makers[claim]

    def lives(self, shard: str) -> bool:
        """Whether the shard may still be at work; one that was silent too long is declared dead."""
        if shard == self.name:
            return True
        now, sign = time.monotonic(), self.signs / shard
        stamp = 0 if shard.startswith("?") else stamp_of(sign)
        if stamp is None:
            return True
        before, since = self.seen.setdefault(shard, (stamp, now))
        if stamp != before:
            self.seen[shard] = (stamp, now)
            return True
        if stamp == GONE:  # it left, or was declared dead: its workers have time to notice
            return now - since <= 2 * self.beat
        if now - since <= self.expiry:
            return True
        if shard.startswith("?"):
            return False
        with suppress(OSError):
            sign.unlink(missing_ok=True)
        return True

    def take(self, job: str) -> bool:
        """Claim the job; whether it is this shard's now. Of all shards that try, one succeeds."""
        if self.standing(job) != "free":
            return self.standing(job) == "mine"
        number, name = self.latest.get(job, 0) + 1, self.name
        try:
            with (self.claims / f"{job}.{number}").open("x", encoding="utf-8") as file:
                file.write(json.dumps({"shard": name, "run": self.run}))
        except FileExistsError:
            self.standings[job] = "held"  # until the next look
            return False
        except OSError as error:
            raise cannot_write(self.root, error) from None
        self.latest[job], self.standings[job] = number, "mine"
        self.makers[job, number] = (name, self.run)
        return True

    def end(self, job: str) -> None:
        """Record that the job, which is this shard's, has ended."""
        number = self.latest.get(job, 0)
        if self.maker(job, number)[0] == self.name:
            with suppress(OSError):  # a full disk: then the job is free once this shard has left
                (self.claims / f"{job}.{number}.ended").touch()
            self.standings[job] = "ended"
