"""A survey's configuration: a TOML file, checked completely before anything is done."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench.errors import BenchError
from bench.survey.terms import HIGHEST, LOWEST

MOST_TRIALS = 30  # that one listener rates: after twenty minutes people tire
TRIALS_PER_REPEAT = 10  # one clip is repeated for so many trials
SECONDS_TO_ANSWER = 15

Text = Annotated[str, Field(min_length=1, max_length=5000)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BackgroundQuestion(_Section):
    """A question about the listener, with its possible answers."""

    key: str = Field(pattern="^[a-z][a-z_]{0,30}$")
    text: Text
    options: tuple[Text, ...] = Field(min_length=2)


class Questions(_Section):
    """What is asked about every clip."""

    score: Text = "How would you rate this piece?"
    # The words of Huang and Wu (2016), section 5: others give ratings that cannot be compared.
    scale: dict[int, Text] = {
        1: "completely random noise",
        5: "musically plausible",
        10: "composed by a novice composer",
    }
    # Svegliato and Witty (2017), section 8.2. Asked after the score is stored.
    believable: Text = "Could a human have composed this?"
    known: str = "I know this piece"  # empty: not asked
    comment: str = "Anything to add? (optional)"  # empty: not asked

    @field_validator("scale")
    @classmethod
    def _within_the_scale(cls, scale: dict[int, str]) -> dict[int, str]:
        wrong = [value for value in scale if not LOWEST <= value <= HIGHEST]
        if wrong or LOWEST not in scale or HIGHEST not in scale:
            raise ValueError(
                f"give a text for {LOWEST}, for {HIGHEST}, and for no value outside of them"
            )
        return dict(sorted(scale.items()))


class Consent(_Section):
    """What listeners agree to before they take part."""

    version: str = Field(default="1", min_length=1, max_length=40)
    contact: Text  # whom listeners can ask
    ethics: str = ""  # reference of the ethics approval
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
        """The hash that proves which text was agreed to."""
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


class SurveyConfig(_Section):
    """Everything that decides what listeners hear and are asked. Frozen and hashed at creation."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,60}$")
    title: Text
    introduction: Text = (
        "You will hear short pieces of piano music, one after the other, and rate each of them."
        " There are no right answers: we want to know what you think."
    )
    run: Path = Path("runs")  # the run folder that the samples come from
    systems: tuple[str, ...] = Field(min_length=1)  # ids of jobs, or names of systems
    dataset: str | None = None  # where the names of systems alone are ambiguous
    preset: str | None = None
    human: bool = True  # the hidden reference
    anchor: bool = True  # random notes, as dense as in the data set
    clips: int = Field(default=12, ge=1, le=200)  # per system
    seconds: float = Field(default=20.0, ge=3, le=60)
    tempo: float = Field(default=96.0, ge=30, le=240)  # quarter notes per minute, of every clip
    loudness: float = Field(default=-23.0, ge=-40, le=-14)  # LUFS
    skip_silent: bool = False  # skip samples without a sound, and record how many
    per_system: int = Field(default=3, ge=1, le=20)  # clips of each system that one listener hears
    repeats: bool = True  # one clip in ten comes twice
    practice: int = Field(default=2, ge=0, le=4)
    seed: int = Field(default=0, ge=0)
    questions: Questions = Questions()
    consent: Consent
    background: tuple[BackgroundQuestion, ...] = _BACKGROUND
    simulated: bool = False  # no person listens: every page that shows it says so

    @model_validator(mode="after")
    def _consistent(self) -> SurveyConfig:
        if len(set(self.systems)) < len(self.systems):
            raise ValueError("systems: a system is named twice")
        if self.per_system > self.clips:
            raise ValueError(
                f"per_system: a listener cannot hear {self.per_system} of {self.clips} clips; raise"
                " clips"
            )
        if self.trials > MOST_TRIALS:
            raise ValueError(
                f"one listener would rate {self.trials} clips ({self.per_system} of each of"
                f" {self.contestants} systems, reference and anchor included, and"
                f" {self.repeated_clips} repeats), and at most {MOST_TRIALS} are allowed, because"
                " people tire: lower per_system, or name fewer systems"
            )
        if len({question.key for question in self.background}) < len(self.background):
            raise ValueError("background: two questions have the same key")
        return self

    @property
    def contestants(self) -> int:
        """How many systems are heard, the human reference and the anchor included."""
        return len(self.systems) + self.human + self.anchor

    @property
    def repeated_clips(self) -> int:
        """How many clips one listener hears twice."""
        return self.contestants * self.per_system // TRIALS_PER_REPEAT if self.repeats else 0

    @property
    def trials(self) -> int:
        """How many clips one listener rates, repeats included."""
        return self.contestants * self.per_system + self.repeated_clips

    @property
    def minutes(self) -> int:
        """How long it takes, about: every clip and its answers, and a minute before them."""
        seconds = (self.trials + self.practice) * (self.seconds + SECONDS_TO_ANSWER) + 60
        return max(1, round(seconds / 60))

    @property
    def sha256(self) -> str:
        """The hash of everything but the run folder's path, which differs between machines."""
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
        raise BenchError(f"{where} is not valid TOML: {error}") from None
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, problem['loc'])) or 'as a whole'}: "
            + problem["msg"].removeprefix("Value error, ")
            for problem in error.errors()
        ]
        raise BenchError(
            "\n".join([f"{where} is not a valid configuration of a survey:", *lines])
        ) from None


EXAMPLE = """\
# A blind listening survey. `bench survey create THIS-FILE` renders its clips and stores a draft.
name = "chorales-1"                     # lower case, digits, dashes; listeners never see it
title = "How does this music sound to you?"
# introduction = "..."

run = "runs"                            # the run folder that the samples come from
systems = ["markov-chain", "chord-lstm"] # names of systems, or ids of jobs (see runs/jobs)
# dataset = "chorales"                  # where the names alone are ambiguous
# preset = "standard"
human = true                            # music by composers, hidden among the systems
anchor = true                           # random notes, as dense as in the data set

clips = 12                              # per system; more clips help more than more listeners
per_system = 3                          # clips of each system that one listener hears
seconds = 20.0                          # of each clip
tempo = 96.0                            # quarter notes per minute, of every clip
# loudness = -23.0                      # LUFS, of every clip
# skip_silent = false                   # skip samples without a sound
# repeats = true                        # one clip in ten comes twice, to measure consistency
# practice = 2                          # clips before the first that counts
# seed = 0                              # decides which samples are taken

[consent]
contact = "Your Name, your institute, survey@example.org"
# version = "1"                         # change it whenever the text changes
# ethics = "approval 2026-17 of ..."
# text = \"\"\"...\"\"\"

[questions]
# score = "How would you rate this piece?"
# believable = "Could a human have composed this?"
# known = "I know this piece"           # "": not asked
# comment = "Anything to add? (optional)"
# [questions.scale]                     # the words of Huang and Wu (2016)
# 1 = "completely random noise"
# 5 = "musically plausible"
# 10 = "composed by a novice composer"

# [[background]]                        # replaces the two default questions
# key = "training"
# text = "How many years of musical training have you had?"
# options = ["none", "less than 3", "3 to 10", "more than 10"]
"""
