"""A bell that cannot be heard must not be felt."""

import socket
import time

from scatterlens_service.tending.bell import CeleryBell, NoBell, open_bell


def test_without_a_broker_nothing_rings():
    assert isinstance(open_bell(None), NoBell)


def test_ringing_a_broker_that_is_down_costs_the_caller_nothing():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        bell = CeleryBell(f"redis://127.0.0.1:{closed.getsockname()[1]}/0")
        started = time.monotonic()
        for _ in range(100):
            bell.ring("annotate.live")
        assert time.monotonic() - started < 1
        bell.close()


def test_ringing_a_broker_that_hangs_costs_the_caller_nothing():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        bell = CeleryBell(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
        started = time.monotonic()
        bell.ring("annotate.live")
        assert time.monotonic() - started < 1
        bell.close()
        assert time.monotonic() - started < 10
