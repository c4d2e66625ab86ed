"""Files that are long to look at cost their sender, and nobody else."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scatterlens_models.decoding import (
    ConfinementError,
    DecodeChild,
    missing_confinement,
    sandbox,
)
from scatterlens_service.gateway.errors import BusyError
from scatterlens_service.gateway.vetting import Vetting
from support.gateway import picture
from support.waiting import wait_until


@pytest.fixture
def blocked(tmp_path, monkeypatch):
    """Vetting, a file whose look takes until the event is set, and a usual one."""
    freed, seen = threading.Event(), []
    probe = DecodeChild.probe

    def slow(self, path):
        if path.name == "bomb":
            seen.append(path)
            assert freed.wait(60)
        return probe(self, path)

    monkeypatch.setattr(DecodeChild, "probe", slow)
    for name in ("bomb", "usual"):
        (tmp_path / name).write_bytes(picture(1))
    with Vetting() as vetting, ThreadPoolExecutor(40) as pool:
        try:
            yield vetting, tmp_path, pool, seen
        finally:
            freed.set()


def test_four_files_that_take_long_do_not_delay_the_file_of_another_key(blocked):
    vetting, folder, pool, seen = blocked
    sent = [pool.submit(vetting.probe, "hostile", folder / "bomb") for _ in range(4)]
    wait_until(lambda: seen)
    assert vetting.probe("other", folder / "usual").format == "npy"
    assert len(seen) == 1
    assert not any(one.done() for one in sent)


def test_who_sends_too_many_of_them_is_told_to_wait_and_others_are_not(blocked, monkeypatch):
    vetting, folder, pool, seen = blocked
    monkeypatch.setattr("scatterlens_service.gateway.vetting._PATIENCE_SECONDS", 0.2)
    sent = [pool.submit(vetting.probe, "hostile", folder / "bomb") for _ in range(30)]
    wait_until(lambda: sum(one.done() for one in sent) == 29)
    refusals = [one.exception() for one in sent if one.done()]
    assert all(isinstance(refusal, BusyError) for refusal in refusals)
    assert {refusal.headers["Retry-After"] for refusal in refusals} == {"5"}
    assert vetting.probe("other", folder / "usual").format == "npy"
    assert len(seen) == 1


def test_a_key_has_its_turns_back_after_a_refused_file(tmp_path):
    (tmp_path / "usual").write_bytes(picture(1))
    with Vetting(children=1) as vetting:
        for _ in range(3):
            with pytest.raises(FileNotFoundError):
                vetting.probe("k", tmp_path / "absent")
            assert vetting.probe("k", tmp_path / "usual").frames == 1


def test_health_says_where_files_are_decoded_less_confined(open_service, monkeypatch):
    service = open_service()
    said = "\n".join(service.get("health").json()["problems"])
    assert ("confined" in said) == bool(missing_confinement())
    # An unknown system call answers like an old kernel.
    monkeypatch.setattr(sandbox, "_LANDLOCK_CREATE_RULESET", 999_999)
    assert any("no Landlock" in one for one in service.get("health").json()["problems"])
    with pytest.raises(ConfinementError):
        open_service(require_confinement=True)
