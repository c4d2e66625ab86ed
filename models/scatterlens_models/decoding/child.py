"""The way in: decode files of strangers without being hurt by them.

A `DecodeChild` may be started at any time; the process it owns shares nothing with this one but
a socket. Every decode runs in a fork of that process with limits on memory, time and rights
(`sandbox.py`), so a file that crashes its reader or never ends costs one verdict.
"""

import contextlib
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.verdicts import DecodeCrashed, FrameRejected, Probe
from scatterlens_models.frame import Frame
from scatterlens_models.geometry import Geometry

_BYTES_PER_PIXEL = 6  # float32 count, mask, saturated
_START_S = 60.0
_GRACE_S = 5.0


class DecodeChild:
    """Owns the process that decodes; thread-safe, one decode at a time.

    Start it early, or at any time: it is a fresh interpreter. `close()` ends it; it also ends by
    itself when its owner does, and starts anew at the next decode if something killed it.
    """

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self.limits = limits or DecodeLimits()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._ready = False
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the warm process, None after `close()`."""
        return self._process.pid if self._process else None

    def decode(self, path: Path, index: int = 0) -> Frame:
        """Decode image number `index` of a file.

        `FrameRejected` is a verdict on the file; `DecodeCrashed` says that the decoding process
        died, which a second try may survive; `OSError` that the file cannot be opened.
        """
        with _pixel_memory(self.limits) as pixels:
            outcome = self._ask("decode", path, index, pixels)
            return _frame(outcome["frame"], pixels, self.limits)

    def probe(self, path: Path) -> Probe:
        """Format, stored shape and number of images, without decoding pixels."""
        with _pixel_memory(self.limits) as pixels:
            name, shape, frames = self._ask("probe", path, 0, pixels)["probe"]
        return Probe(name, tuple(shape), frames)

    def close(self) -> None:
        """End the process; a decode under way in another thread is waited for."""
        with self._lock:
            self._stop()

    def _ask(self, operation: str, path: Path, index: int, pixels: int) -> dict[str, Any]:
        """Have one file worked on, and turn what came of it into a result or an error."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > self.limits.file_bytes:
                raise FrameRejected(
                    "too_large",
                    "File too large",
                    f"{size} bytes are more than the {self.limits.file_bytes} allowed.",
                    "Split it, compress it, or have the limit raised.",
                )
            request = {"operation": operation, "index": index, "limits": asdict(self.limits)}
            with self._lock:
                answer = self._exchange(json.dumps(request).encode(), [file.fileno(), pixels])
        if answer["timeout"] or answer["exit"] == -signal.SIGXCPU:
            raise DecodeCrashed("timeout", "Decoding took too long and was stopped.")
        if answer["exit"] != 0 or not answer["report"]:
            raise DecodeCrashed("crashed", "The process that decoded the file died.")
        outcome = json.loads(answer["report"])
        if "rejected" in outcome:
            raise FrameRejected(*outcome["rejected"])
        if "memory" in outcome:
            raise DecodeCrashed("memory", "Decoding needed more memory than allowed.")
        return outcome

    def _exchange(self, request: bytes, descriptors: list[int]) -> dict[str, Any]:
        """Send one request and wait for its answer; the lock is held."""
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._start()
        assert self._socket is not None
        try:
            if not self._ready:
                self._socket.settimeout(_START_S)
                self._ready = bool(self._socket.recv(1 << 16))
            self._socket.settimeout(self.limits.wall_s + _GRACE_S)
            socket.send_fds(self._socket, [request], descriptors)
            answer = self._socket.recv(1 << 22)
        except TimeoutError:
            self._stop()
            raise DecodeCrashed("timeout", "Decoding took too long and was stopped.") from None
        except OSError:
            answer = b""
        if not answer:
            self._stop()
            raise DecodeCrashed("crashed", "The process that decodes was killed.")
        return json.loads(answer)

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "scatterlens_models.decoding.zygote", str(number)],
                pass_fds=[number],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in a terminal is its owner's to handle
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        self._socket, self._ready = ours, False

    def _stop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._socket = self._process = None


@contextlib.contextmanager
def _pixel_memory(limits: DecodeLimits):
    """Anonymous memory for the largest frame allowed; only pages that are written cost anything."""
    descriptor = os.memfd_create("scatterlens-frame")
    try:
        os.ftruncate(descriptor, _BYTES_PER_PIXEL * limits.pixels)
        yield descriptor
    finally:
        os.close(descriptor)


def _frame(description: dict[str, Any], pixels: int, limits: DecodeLimits) -> Frame:
    """Frame on the shared memory that the child filled; the memory lives as long as the arrays."""
    rows, cols = description["shape"]
    count = rows * cols
    if min(rows, cols) < 1 or count > limits.pixels:
        raise DecodeCrashed("crashed", "The process that decoded the file gave a senseless answer.")
    memory = mmap.mmap(pixels, _BYTES_PER_PIXEL * count)
    geometry = description["geometry"]
    return Frame(
        image=np.frombuffer(memory, np.float32, count).reshape(rows, cols),
        mask=np.frombuffer(memory, bool, count, 4 * count).reshape(rows, cols),
        saturated=np.frombuffer(memory, bool, count, 5 * count).reshape(rows, cols),
        geometry=geometry
        and Geometry(geometry[0], geometry[1], tuple(geometry[2]), tuple(geometry[3])),
        header=description["header"],
        format=description["format"],
        lossy=description["lossy"],
    )
