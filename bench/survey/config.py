"""What a survey is made of: a TOML file, checked in full before anything is done."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench.errors import BenchError

LOWEST, HIGHEST = 1, 10  # of the scale
MOST_TRIALS = 30  # scored by one listener: more than twenty minutes tire
PER_REPEAT = 10  # trials to each one that comes twice

Text = Annotated[str, Field(min_length=1, max_length=5000)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BackgroundQuestion(_Block):
    """A question about the listener, with the answers to choose from."""

    key: str = Field(pattern="^[a-z][a-z_]{0,30}$")
    text: Text
    options: tuple[Text, ...] = Field(min_length=2)


class Questions(_Block):
    """What is asked of every clip."""

    score: Text = "How would you rate this piece?"
    # Huang and Wu (2016), section 5: comparable with published ratings only in these words.
    scale: dict[int, Text] = {
        1: "completely random noise",
        5: "musically plausible",
        10: "composed by a novice composer",
    }
    # Svegliato and Witty (2017), section 8.2. Asked once the score is kept.
    believable: Text = "Could a human have composed this?"
    known: str = "I know this piece"  # empty: not asked
    comment: str = "Anything to add? (optional)"  # empty: not asked

    @field_validator("scale")
    @classmethod
    def _within_the_scale(cls, scale: dict[int, str]) -> dict[int, str]:
        wrong = [value for value in scale if not LOWEST <= value <= HIGHEST]
        if wrong or LOWEST not in scale or HIGHEST not in scale:
            raise ValueError(f"give a text to {LOWEST}, to {HIGHEST}, and to values between only")
        return dict(sorted(scale.items()))


class Consent(_Block):
    """What listeners agree to before anything else."""

    version: str = Field(default="1", min_length=1, max_length=40)
    contact: Text  # whom to ask
    ethics: str = ""  # the approval's reference
    text: Text = (
        "This study compares computer programs that compose music. You will hear short pieces and"
        " say how good you find them. Taking part is voluntary, and you may stop at any time. I am"
        " at least 18 years old.\n\n"
        "We keep your ratings and your answers to the questions, under a random number. We do not"
        " keep your name, your e-mail address, your IP address or anything else about your device"
        " or browser; your invitation code is kept only as a hash. Please do not write anything"
        " about yourself or others in a comment. With your code you can withdraw, and have all your"
        " answers deleted, until the results are published. Ratings are then published without"
        " anything that could tell who gave them, under CC BY 4.0; the rest is deleted after five"
        " years."
    )

    @property
    def sha256(self) -> str:
        """What proves which text was agreed to."""
        return hashlib.sha256(f"{self.version}\n{self.text}".encode()).hexdigest()


_BACKGROUND = (
    BackgroundQuestion(
        key="training",
        text="How many years of musical training have you had?",
        options=("none", "less than 3", "3 to 10", "more than 10"),
    ),
    BackgroundQuestion(
        key="device",
        text="What do you listen with?",
        options=("headphones", "loudspeakers", "built-in speakers of a phone or computer"),
    ),
)


class SurveyConfig(_Block):
    """All that decides what listeners hear and are asked. Frozen, with a hash, at creation."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,60}$")
    title: Text
    introduction: Text = (
        "You will hear short pieces of piano music, one after the other, and rate each of them."
        " There are no right answers: we want to know what you think."
    )
    run: Path = Path("runs")  # the run folder that the samples come from
    systems: tuple[str, ...] = Field(min_length=1)  # ids of jobs, or names of systems
    dataset: str | None = None  # where a system's name alone does not decide
    preset: str | None = None
    human: bool = True  # the hidden reference
    anchor: bool = True  # random notes, as many as the data set has
    clips: int = Field(default=12, ge=1, le=200)  # per system
    seconds: float = Field(default=20.0, ge=3, le=60)
    tempo: float = Field(default=96.0, ge=30, le=240)  # quarter notes per minute, for all
    loudness: float = Field(default=-23.0, ge=-40, le=-14)  # LUFS
    skip_silent: bool = False  # pass over samples without a sound, and record how many
    per_system: int = Field(default=3, ge=1, le=20)  # clips of each that one listener hears
    repeats: bool = True  # one clip in ten comes twice
    practice: int = Field(default=2, ge=0, le=4)
    seed: int = Field(default=0, ge=0)
    questions: Questions = Questions()
    consent: Consent
    background: tuple[BackgroundQuestion, ...] = _BACKGROUND
    simulated: bool = False  # no people: everything that shows it says so

    @model_validator(mode="after")
    def _fits_in_a_sitting(self) -> SurveyConfig:
        if len(set(self.systems)) < len(self.systems):
            raise ValueError("systems: one of them is named twice")
        if self.per_system > self.clips:
            raise ValueError(
                f"per_system: nobody can hear {self.per_system} of {self.clips} clips; raise clips"
            )
        if self.trials > MOST_TRIALS:
            raise ValueError(
                f"one listener would rate {self.trials} clips ({self.contestants} systems, the"
                f" reference and anchor included, {self.per_system} of each, and"
                f" {self.repeats_of_one} repeats); at most {MOST_TRIALS} keep people attentive:"
                " lower per_system, or name fewer systems"
            )
        if len({question.key for question in self.background}) < len(self.background):
            raise ValueError("background: two questions have the same key")
        return self

    @property
    def contestants(self) -> int:
        """How many systems are heard, the human reference and the anchor included."""
        return len(self.systems) + self.human + self.anchor

    @property
    def repeats_of_one(self) -> int:
        """How many clips come twice to one listener."""
        return self.contestants * self.per_system // PER_REPEAT if self.repeats else 0

    @property
    def trials(self) -> int:
        """How many clips one listener scores."""
        return self.contestants * self.per_system + self.repeats_of_one

    @property
    def minutes(self) -> int:
        """How long it takes, about: each clip, and fifteen seconds to answer."""
        return max(1, round(((self.trials + self.practice) * (self.seconds + 15) + 60) / 60))

    @property
    def sha256(self) -> str:
        """The hash of all but the run folder's place, which is another on every machine."""
        content = json.dumps(self.model_dump(mode="json", exclude={"run"}), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def read_config(path: Path) -> SurveyConfig:
    """The configuration in a TOML file; BenchError names what is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(
            f"{path} cannot be read: {error}. `bench survey example` prints one to start from."
        ) from None
    return parse_config(text, str(path))


def parse_config(text: str, where: str) -> SurveyConfig:
    """The configuration in a TOML text; BenchError names what is wrong in it."""
    try:
        content = tomllib.loads(text)
        return SurveyConfig.model_validate(content)
    except tomllib.TOMLDecodeError as error:
        raise BenchError(f"{where} is no valid TOML: {error}") from None
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, one['loc'])) or 'as a whole'}: "
            + one["msg"].removeprefix("Value error, ")
            for one in error.errors()
        ]
        raise BenchError("\n".join([f"{where} is no survey's configuration:", *lines])) from None


EXAMPLE = """\
# A blind listening survey. `bench survey create THIS-FILE` renders its clips and makes a draft.
name = "chorales-1"                     # lower case, digits, dashes: part of no listener's page
title = "How does this music sound to you?"
# introduction = "..."

run = "runs"                            # the run folder that the samples come from
systems = ["markov-chain", "chord-lstm"] # systems by name, or jobs by id (see {run}/jobs)
# dataset = "chorales"                  # where names alone do not decide
# preset = "standard"
human = true                            # hidden among them: what composers wrote
anchor = true                           # and random notes, as many as in the data

clips = 12                              # per system; 12 to 24 tell more than twice the listeners
per_system = 3                          # clips of each system that one listener hears
seconds = 20.0                          # of each clip
tempo = 96.0                            # quarter notes per minute, for every clip
# loudness = -23.0                      # LUFS, for every clip
# skip_silent = false                   # pass over samples without a sound
# repeats = true                        # one clip in ten comes twice, to see how consistent people are
# practice = 2                          # clips before the first that counts
# seed = 0                              # which of the samples

[consent]
contact = "Your Name, your institute, survey@example.org"
# version = "1"                         # change it whenever the text changes
# ethics = "approval 2026-17 of ..."
# text = \"\"\"...\"\"\"

[questions]
# score = "How would you rate this piece?"
# believable = "Could a human have composed this?"
# known = "I know this piece"           # "" does not ask
# comment = "Anything to add? (optional)"
# [questions.scale]                     # the words of Huang and Wu (2016)
# 1 = "completely random noise"
# 5 = "musically plausible"
# 10 = "composed by a novice composer"

# [[background]]                        # replaces the two questions asked by default
# key = "training"
# text = "How many years of musical training have you had?"
# options = ["none", "less than 3", "3 to 10", "more than 10"]
""".replace("{run}", "runs")
