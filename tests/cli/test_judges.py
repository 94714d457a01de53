import json


def test_the_shipped_judges_are_listed(home):
    lines = home.bench("judges", "list").stdout.splitlines()
    assert len([line for line in lines if " shipped " in line]) == 15
    assert any(line.startswith("jsb ") and "attention" in line for line in lines)
    rows = json.loads(home.bench("judges", "list", "--json").stdout)
    assert {row["data"] for row in rows} >= {"chorales", "piano-midi"}


def test_a_judge_is_trained_verified_and_found_out_when_changed(home):
    only = ("--data", "toy", "--family", "feed-forward")
    made = home.bench("judges", "train", *only)
    assert made.returncode == 0, made.stderr
    assert "nats per step of validation pieces" in made.stdout
    result = home.bench("judges", "verify", "--rebuild", *only)
    assert result.returncode == 0, result.stderr
    assert "rebuilt bit for bit" in result.stdout
    path = next((home.path / "cache" / "judges").glob("*/feed-forward.safetensors"))
    path.write_bytes(path.read_bytes()[:-1])
    result = home.bench("judges", "verify", *only)
    assert result.returncode == 2
    assert "not the file that its record names" in result.stdout
    assert "differ from their records: 1" in result.stderr


def test_judges_can_be_put_into_a_folder(home):
    target = home.path / "judges"
    home.bench("judges", "train", "--data", "toy", "--family", "feed-forward", "--to", str(target))
    record = json.loads((target / "toy" / "feed-forward.json").read_text())
    assert record["data"] == "toy"
    assert record["bytes"] == (target / "toy" / "feed-forward.safetensors").stat().st_size


def test_an_unknown_family_is_refused(home):
    result = home.bench("judges", "train", "--data", "toy", "--family", "spline")
    assert result.returncode == 2
    assert "spline" in result.stderr
