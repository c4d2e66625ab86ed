"""Memory that threads of the gateway needed for a while is given back."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from scatterlens_service.tending.memory import keep_little
if sys.argv[1] == "little" and not keep_little():
    raise SystemExit(3)
def work():
    ready.wait()
    held = [bytearray(size) for size in (3 << 20, 1 << 20) for _ in range(2)]
    pieces = [bytes(5000) for _ in range(400)]
    ready.wait()
    del held
    kept.append(pieces[-1])
    ready.wait()
ready, kept = threading.Barrier(16), []
for _ in range(3):
    threads = [threading.Thread(target=work) for _ in range(16)]
    [one.start() for one in threads]
    [one.join() for one in threads]
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("RssAnon")))
"""


def left_kilobytes(how: str) -> int:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, timeout=60
    )
    if ended.returncode == 3:
        pytest.skip("the allocator is not that of glibc")
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout)


def test_what_threads_needed_for_a_while_is_given_back():
    assert left_kilobytes("little") < 0.5 * left_kilobytes("much")
