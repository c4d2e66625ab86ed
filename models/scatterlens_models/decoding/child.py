"""The way in: decode files of strangers without being hurt by them.

A `DecodeChild` may be started at any time; the process it owns shares nothing with this one but
a socket. Every decode runs in a fork of that process with limits on memory, time and rights
(`sandbox.py`), so a file that crashes its reader or never ends costs one verdict.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.pixels import PixelMemory
from scatterlens_models.decoding.sandbox import require_confinement
from scatterlens_models.decoding.verdicts import DecodeCrashed, FrameRejected, Probe
from scatterlens_models.frame import Frame
from scatterlens_models.geometry import Geometry

_START_S = 60.0
_GRACE_S = 5.0


class DecodeChild:
    """Owns the process that decodes; thread-safe, one decode at a time.

    Start it early, or at any time: it is a fresh interpreter. `close()` ends it; it also ends by
    itself when its owner does, and starts anew at the next decode if something killed it.
    """

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self.limits = limits or DecodeLimits()
        if self.limits.whole_confinement:
            require_confinement()
        self._lock = threading.Lock()
        self._closed = False
        self._pixels = PixelMemory(self.limits.pixels)
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
        """Process id of the warm process, None while there is none."""
        return self._process.pid if self._process else None

    def decode(self, path: Path, index: int = 0) -> Frame:
        """Decode image number `index` of a file.

        `FrameRejected` is a verdict on the file; `DecodeCrashed` says that the decoding process
        died, which a second try may survive; `OSError` that the file cannot be opened.
        """
        with self._lock:
            description = self._ask("decode", path, index)["frame"]
            rows, cols = description["shape"]
            if min(rows, cols) < 1 or rows * cols > self.limits.pixels:
                raise DecodeCrashed("crashed", "The process that decoded gave a senseless answer.")
            planes = self._pixels.take((rows, cols))
        geometry = description["geometry"]
        return Frame(
            *planes,
            geometry=geometry
            and Geometry(geometry[0], geometry[1], tuple(geometry[2]), tuple(geometry[3])),
            header=description["header"],
            motors=description["motors"],
            format=description["format"],
            lossy=description["lossy"],
        )

    def probe(self, path: Path) -> Probe:
        """Format, stored shape and number of images, without decoding pixels."""
        with self._lock:
            name, shape, frames = self._ask("probe", path, 0)["probe"]
        return Probe(name, tuple(shape), frames)

    def close(self) -> None:
        """End the process for good; a decode under way in another thread is waited for."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._stop()
                self._pixels.close()

    def _ask(self, operation: str, path: Path, index: int) -> dict[str, Any]:
        """Have one file worked on, and turn what came of it into a result or an error."""
        if self._closed:
            raise ValueError("this DecodeChild is closed: make another one")
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
            descriptors = [file.fileno(), self._pixels.descriptor]
            try:
                return self._outcome(self._exchange(json.dumps(request).encode(), descriptors))
            except (FrameRejected, DecodeCrashed):
                self._pixels.erase()
                raise

    @staticmethod
    def _outcome(answer: dict[str, Any]) -> dict[str, Any]:
        """What the child reports, or the error that its report or its end stands for."""
        killed = answer["exit"] != 0
        if killed and (answer["timeout"] or answer["exit"] == -signal.SIGXCPU):
            raise DecodeCrashed("timeout", "Decoding took too long and was stopped.")
        if killed or not answer["report"]:
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
        except BaseException:
            # Interrupted: the answer to this file must never be taken for that to the next.
            self._stop()
            raise
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
