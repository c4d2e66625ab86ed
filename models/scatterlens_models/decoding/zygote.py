"""The warm process that forks a confined child for each decode.

Started by `DecodeChild` as a fresh interpreter, so that no thread, connection or accelerator of
its owner exists here. It imports every codec once; a fork then costs milliseconds where a fresh
interpreter costs a third of a second. It answers on the socket whose number is its argument and
ends when that socket closes.

One message asks: JSON, with the file, the memory for pixels, and nothing else as descriptors.
One message answers: JSON with `exit` (the child's wait status, negative = signal), `timeout` and
what the child wrote. The zygote itself never looks into the file or into what the child wrote.
"""

import gc
import io
import json
import logging
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from functools import partial

import h5py
import hdf5plugin
import numpy as np
import tifffile
from PIL import Image

from scatterlens_models.decoding.decode import decode_frame, probe_frames
from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.pixels import map_planes
from scatterlens_models.decoding.sandbox import confine, die_with_parent
from scatterlens_models.decoding.verdicts import FrameRejected
from scatterlens_models.frame import Frame

_MAX_REPORT = 1 << 20


def main(descriptor: int) -> None:
    """Answer requests until the other end closes."""
    logging.disable()
    _warm_up()
    gc.collect()
    gc.freeze()  # children then copy no page merely because objects were counted
    owner = socket.socket(fileno=descriptor)
    with suppress(ConnectionError):
        owner.send(b"{}")  # ready
        while True:
            message, descriptors, _, _ = socket.recv_fds(owner, 1 << 16, 2)
            if not message:
                return
            answer = _run(json.loads(message), descriptors, owner)
            for opened in descriptors:
                os.close(opened)
            owner.send(answer)


def _warm_up() -> None:
    """Have libraries load what they load at first use: a confined child can open no file."""
    picture = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture, "JPEG")
    sample = np.arange(64, dtype=np.int32).reshape(8, 8)
    page = io.BytesIO()
    tifffile.imwrite(page, sample, compression="zlib")
    array = io.BytesIO()
    np.save(array, sample)
    tables = io.BytesIO()
    with h5py.File(tables, "w") as file:
        data = file.create_group("entry/data")
        data.attrs["NX_class"], data.attrs["signal"] = np.bytes_("NXdata"), "data"
        data.create_dataset("data", data=sample, chunks=(8, 8), **hdf5plugin.Bitshuffle())
        file["entry/instrument/detector/description"] = "text of any length"
        file["entry/instrument/detector/name"] = np.bytes_("text of fixed length")
    for stream in (picture, page, array, tables):
        decode_frame(stream.getvalue())


def _run(request: dict, descriptors: list[int], owner: socket.socket) -> bytes:
    """Fork a child for one request, wait for it within its time, and report on it."""
    report_end, child_end = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(report_end)
        owner.close()
        _child(request, descriptors, child_end)
    os.close(child_end)
    report, in_time = _collect(report_end, owner, started + request["limits"]["wall_s"])
    os.close(report_end)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    exit_code = os.waitstatus_to_exitcode(status)
    answer = {
        "exit": exit_code,
        "timeout": not in_time,
        "report": report.decode("utf-8", "replace"),
    }
    return json.dumps(answer).encode()


def _collect(report_end: int, owner: socket.socket, deadline: float) -> tuple[bytes, bool]:
    """What the child writes until it ends; False where time ran out or the owner is gone."""
    report = b""
    while True:
        ready, _, _ = select.select(
            [report_end, owner], [], [], max(0.0, deadline - time.monotonic())
        )
        if not ready or owner in ready:  # an owner that waits for its answer says nothing
            return report, False
        part = os.read(report_end, 1 << 16)
        if not part or len(report) > _MAX_REPORT:
            return report, True
        report += part


def _child(request: dict, descriptors: list[int], report: int) -> None:
    """Decode in this process, confined, and end it without returning."""
    try:
        die_with_parent(signal.SIGKILL)
        gc.disable()
        limits = DecodeLimits(**request["limits"])
        source, pixels = descriptors
        if not confine(limits) and limits.whole_confinement:
            os._exit(1)
        data = os.pread(source, os.fstat(source).st_size, 0)
        try:
            if request["operation"] == "probe":
                probe = probe_frames(data, limits)
                outcome = {"probe": [probe.format, list(probe.shape), probe.frames]}
            else:
                frame = decode_frame(data, request["index"], limits, partial(map_planes, pixels))
                outcome = {"frame": _describe(frame)}
        except FrameRejected as verdict:
            outcome = {"rejected": [verdict.kind, verdict.title, verdict.detail, verdict.remedy]}
        except MemoryError:
            outcome = {"memory": True}
        content = json.dumps(outcome).encode()
        while content:
            content = content[os.write(report, content) :]
    finally:
        # Whatever went wrong, nothing of the zygote's own loop may run on in a child.
        os._exit(0)


def _describe(frame: Frame) -> dict:
    """All of a frame but its arrays."""
    geometry = frame.geometry
    return {
        "shape": list(frame.image.shape),
        "format": frame.format,
        "lossy": frame.lossy,
        "header": frame.header,
        "motors": frame.motors,
        "geometry": geometry
        and [
            geometry.distance_m,
            geometry.wavelength_m,
            geometry.pixel_size_m,
            geometry.beam_center_yx,
        ],
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
