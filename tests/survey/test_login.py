"""The administrator's password."""

import pytest

from bench.errors import BenchError
from bench.survey import login
from bench.survey.rate_limit import RateLimiter


@pytest.fixture(autouse=True)
def _no_password(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path))
    monkeypatch.delenv(login.HASH, raising=False)
    monkeypatch.setattr(login, "_rate_limiter", RateLimiter())


def test_there_is_no_password_until_one_is_set():
    assert not login.admin_password_set()
    for text in ("", "admin", "123456"):
        assert not login.check_password(text)


def test_only_the_password_is_accepted(tmp_path):
    path = login.set_password("correct horse battery")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "horse" not in path.read_text()
    assert login.admin_password_set()
    assert login.check_password("correct horse battery")
    for text in ("", "correct horse", "\ud800"):
        assert not login.check_password(text)
    assert login.check_password("correct horse battery")


def test_the_environment_can_hold_the_hash(monkeypatch):
    monkeypatch.setenv(login.HASH, login.password_hash("correct horse battery"))
    assert login.check_password("correct horse battery")
    monkeypatch.setenv(login.HASH, "correct horse battery")  # the password itself is not a hash
    with pytest.raises(BenchError, match="bench survey password"):
        login.check_password("correct horse battery")


def test_after_five_wrong_passwords_even_the_right_one_is_refused(monkeypatch):
    login.set_password("correct horse battery")
    time = [1000.0]
    monkeypatch.setattr(login.time, "monotonic", lambda: time[0])
    for guess in range(5):
        assert not login.check_password(f"guess number {guess}")
    for guess in ("correct horse battery", "x" * 10_000_000):
        with pytest.raises(BenchError, match="Too many"):
            login.check_password(guess)
    time[0] += 181  # a fifth of fifteen minutes
    assert login.check_password("correct horse battery")


def test_brute_force_gets_no_more_than_five_tries_in_fifteen_minutes(monkeypatch):
    login.set_password("correct horse battery")
    time, tries = [0.0], 0
    monkeypatch.setattr(login.time, "monotonic", lambda: time[0])
    monkeypatch.setattr(login, "_scrypt", lambda *_: b"")
    for _ in range(3600):
        time[0] += 1
        try:
            login.check_password("guess")
            tries += 1
        except BenchError:
            pass
    assert tries <= 5 + 4 * 5


def test_a_short_password_is_refused():
    with pytest.raises(BenchError, match="10 characters"):
        login.set_password("short")
    assert not login.admin_password_set()
