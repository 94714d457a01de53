"""A file or folder is replaced as a whole, wherever the process that replaces it is killed."""

import json
import math
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bench.files import read_json, replacing, replacing_folder, write, write_json

OLD, NEW = {"a": "old", "b": "old"}, {"a": "new", "c": "new"}
# Kills itself before step number argv[2], a step being a call that changes the file system.
KILLED = """
import os, pathlib, shutil, signal, sys
from bench.files import replacing_folder
left = [int(sys.argv[2])]
def counted(function):
    def call(*arguments, **options):
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return function(*arguments, **options)
    return call
pathlib.Path.mkdir = counted(pathlib.Path.mkdir)
pathlib.Path.rename = counted(pathlib.Path.rename)
pathlib.Path.write_text = counted(pathlib.Path.write_text)
shutil.rmtree = counted(shutil.rmtree)
with replacing_folder(pathlib.Path(sys.argv[1])) as new:
    for name in "ac":
        (new / name).write_text("new")
"""
STEPS = 9


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def fail_half_way(folder: Path) -> dict[str, str]:
    """Begin to replace the folder, and fail; what it held meanwhile."""
    with suppress(RuntimeError), replacing_folder(folder) as new:
        held = content(folder)
        (new / "a").write_text("new")
        raise RuntimeError
    return held


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with the old files in it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    fill(folder, OLD)
    return folder


def test_a_folder_is_replaced_as_a_whole(folder):
    with replacing_folder(folder) as new:
        fill(new, NEW)
        assert content(folder) == OLD
    assert content(folder) == NEW
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_is_made_where_there_is_none(tmp_path):
    with replacing_folder(tmp_path / "some" / "folder") as new:
        fill(new, NEW)
    assert content(tmp_path / "some" / "folder") == NEW


def test_a_folder_stays_as_it_was_when_the_block_fails(folder):
    assert fail_half_way(folder) == content(folder) == OLD
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("step", range(STEPS + 1))
def test_a_kill_before_any_step_leaves_the_old_folder_or_the_new_one(folder, step):
    command = [sys.executable, "-c", KILLED, str(folder), str(step)]
    done = subprocess.run(command, check=False)
    assert done.returncode == (-signal.SIGKILL if step < STEPS else 0)
    assert OLD in [content(left) for left in folder.parent.iterdir()] or content(folder) == NEW
    expected = NEW if step >= STEPS - 2 else OLD
    assert fail_half_way(folder) == content(folder) == expected
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_of_its_own_is_never_replaced_by_one(tmp_path, kind):
    path, other = tmp_path / "path", tmp_path / "other"
    other.mkdir()
    path.write_text("a file") if kind == "file" else path.symlink_to(other)
    with pytest.raises(NotADirectoryError), replacing_folder(path) as new:
        fill(new, NEW)
    assert path.is_symlink() if kind == "link" else path.read_text() == "a file"
    assert set(tmp_path.iterdir()) == {path, other}


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.txt"
    write(path, "old")
    with suppress(RuntimeError), replacing(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    write(path, b"new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_json_comes_back_and_what_is_no_json_is_none(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"ü": True}}
    write_json(tmp_path / "new" / "value.json", value)
    assert read_json(tmp_path / "new" / "value.json") == value
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "nan.json", math.nan)
    for text in (b"", b"{", json.dumps("ü", ensure_ascii=False).encode("latin-1")):
        (tmp_path / "broken.json").write_bytes(text)
        assert read_json(tmp_path / "broken.json") is None
    assert read_json(tmp_path / "absent.json") is None
    assert read_json(tmp_path / "broken.json" / "inside.json") is None
