"""The process of a training, as the trainer hears it."""

import sys
from pathlib import Path

import pytest

from scatterlens_worker.training_job import TrainingJob
from support.waiting import wait_until


@pytest.fixture
def speaking(tmp_path: Path, monkeypatch):
    """A process that writes these bytes and ends."""

    def start(said: bytes) -> TrainingJob:
        program = tmp_path / "python"
        (tmp_path / "said").write_bytes(said)
        program.write_text(f"#!/bin/sh\ncat {tmp_path}/said\nexit 3\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        return TrainingJob(tmp_path, 30.0)

    return start


def test_a_line_that_is_not_understood_is_told_with_the_death(speaking):
    with speaking(b'{"stage": "load"}\n{"stage": "nothing"}\n') as job:
        line = wait_until(lambda: job.next_line(0.1))
        assert line.stage == "load"
        wait_until(lambda: job.has_ended)
        assert "exit code 3" in job.death()
        assert "It said what cannot be read" in job.death()


def test_a_line_that_its_death_cut_off_is_no_fault(speaking):
    with speaking(b'{"stage": "load"}\n{"stage": "tra') as job:
        assert wait_until(lambda: job.next_line(0.1)).stage == "load"
        wait_until(lambda: job.has_ended)
        assert "cannot be read" not in job.death()
