"""`scatterlens worker` as a process."""

import os
import signal
import subprocess
import sys
import time

import pytest

from scatterlens_service import ledger


def start(settings, *options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scatterlens_worker", *options],
        env=os.environ | {"SCATTERLENS_ACTIVE_MODELS": "linear"} | environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_seen(settings) -> None:
    engine = ledger.open_engine(settings.database)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with ledger.reading(engine) as session:
            if ledger.queue_status(session).workers:
                break
        time.sleep(0.1)
    else:
        raise AssertionError("no worker reported")
    engine.dispose()


def end_by_signal(worker: subprocess.Popen[str]) -> None:
    worker.send_signal(signal.SIGTERM)


def end_by_closing_its_input(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    worker.stdin = None


@pytest.mark.parametrize("end", [end_by_signal, end_by_closing_its_input])
def test_a_worker_ends_in_order_when_asked_or_when_its_parent_is_gone(settings, end):
    worker = start(settings, "--supervised")
    wait_until_seen(settings)
    end(worker)
    _, log = worker.communicate(timeout=60)
    assert worker.returncode == 0, log
    assert "Traceback" not in log


def test_a_worker_that_must_have_a_gpu_refuses_to_run_without_one(settings):
    worker = start(settings, "--device", "cuda", "--require-gpu", CUDA_VISIBLE_DEVICES="")
    _, log = worker.communicate(timeout=90)
    assert worker.returncode == 2
    assert "a GPU is required" in log


def test_a_worker_without_its_model_says_what_to_do(settings):
    worker = start(settings, SCATTERLENS_ACTIVE_MODELS="nothing")
    _, log = worker.communicate(timeout=90)
    assert worker.returncode == 2
    assert "no bundle 'nothing'" in " ".join(log.split())
