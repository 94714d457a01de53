import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from bench.cli import doctor

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_every_dependency_of_the_project_is_looked_at_and_no_extra():
    declared = [line.split(">=")[0].replace("_", "-") for line in PROJECT["dependencies"]]
    assert sorted(doctor.required_packages()) == sorted(declared)


def test_a_package_has_its_version_or_the_command_that_installs_it(monkeypatch):
    assert doctor.package("torch").found == version("torch")

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", missing)
    sign = doctor.package("torch")
    assert not sign.well
    assert "pip install torch" in sign.advice


def test_a_checkout_that_is_not_installed_is_told_to_install_itself(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", missing)
    monkeypatch.setattr(doctor, "version", missing)
    (sign,) = map(doctor.package, doctor.required_packages())
    assert (sign.what, sign.found, sign.well) == ("musicbench", "not installed", False)


@pytest.mark.parametrize("exists", [True, False])
def test_the_disk_is_that_of_the_run_folder_or_of_the_present_folder(tmp_path, exists, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "runs"
    if exists:
        out.mkdir()
    assert doctor.disk(out).what == f"disk at {out if exists else tmp_path}"
