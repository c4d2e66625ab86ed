"""The SDK and the command line against a real gateway with its worker, as a user starts them."""

import csv
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fabio
import h5py
import numpy as np
import pytest
from PIL import Image

from scatterlens import Client
from scatterlens.cli import drawing
from scatterlens.connection import read_connection
from scatterlens.errors import (
    ApiError,
    BadArgument,
    Forbidden,
    FrameRejected,
    NotFound,
    Unauthorized,
    UnknownAttribute,
)
from scatterlens.journal import Journal
from scatterlens.schemas import LabelIn
from scatterlens.watching import FolderWatch, Rules
from scatterlens_models.datasets.importing.snapshot import read_snapshot
from scatterlens_models.datasets.loading import load_dataset
from scatterlens_models.datasets.manifest import read_manifest, write_manifest
from scatterlens_models.explanations import GRADIENTS, explain
from scatterlens_models.vocabulary import load_vocabulary
from support import made_frames
from support.bundles import make_bundle
from support.servers import free_port

pytestmark = pytest.mark.timeout(180)


class Gateway:
    """`scatterlens serve` as a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        make_bundle(home / "bundles", gradients=True, attention=("value", "coverage"))
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "scatterlens", "serve", "--port", str(self.port)]
        environment = {
            **os.environ,
            "SCATTERLENS_HOME": str(self.home),
            "SCATTERLENS_ACTIVE_MODELS": "linear",
            "OMP_NUM_THREADS": "1",
        }
        log = self.home / "serve.log"
        with log.open("ab") as stream:
            self.process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
        self._wait_until_ready(log)

    def _wait_until_ready(self, log: Path) -> None:
        ends = time.monotonic() + 120
        while time.monotonic() < ends and self.process.poll() is None:
            connection = read_connection(self.home)
            if connection is not None:
                self.url, self.key = connection.url, connection.key
                try:
                    with Client(self.url, self.key, retry_s=0) as client:
                        client.health()
                    return
                except ConnectionError:
                    pass
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"the gateway did not start:\n{log.read_text()[-3000:]}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(40)
        finally:
            self.kill()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("home"))
    yield gateway
    gateway.stop()


@pytest.fixture
def client(gateway) -> Iterator[Client]:
    with Client(gateway.url, gateway.key) as client:
        yield client


def write_frame(path: Path, seed: int) -> Path:
    """A frame of 195 x 487 as EDF, with a band of pixels that never counted."""
    counts = np.random.default_rng(seed).poisson(20, (195, 487)).astype(np.int32)
    counts[:, 200:207] = -1
    fabio.edfimage.EdfImage(data=counts).write(str(path))
    return path


def test_a_frame_in_attributes_and_overlays_out(client, tmp_path):
    result = client.annotate(write_frame(tmp_path / "a.edf", seed=1), sample="water", scan="7")
    assert len(result.probabilities) == 20
    assert sorted(result.probabilities.values(), reverse=True) == list(
        result.probabilities.values()
    )
    overlay = result.overlay("ring")
    assert overlay.shape == (195, 487)
    assert overlay.dtype == np.float32
    masked = np.zeros((195, 487), bool)
    masked[:, 200:207] = True
    np.testing.assert_array_equal(np.isnan(overlay), masked)
    assert result.annotation.mask_fraction == pytest.approx(7 / 487)
    preview = result.preview()
    assert preview.shape == (195, 487)
    assert np.nanmean(preview) == pytest.approx(20, rel=0.02)
    assert result.picture("ring").startswith(b"\x89PNG")
    detail = client.frame(result.frame_id)
    assert (detail.sample, detail.scan, detail.filename) == ("water", "7", "a.edf")
    assert detail.shape == (195, 487)


def test_a_real_pilatus_frame_is_dark_in_the_gaps_of_its_modules(client, real_data):
    result = client.annotate(real_data / "bioxtas__saxslab_image.tiff")
    gaps = np.isnan(result.overlay("ring"))
    assert gaps.shape == (619, 487)
    # Pilatus 300K: modules of 195 rows, 17 rows between them.
    assert gaps[195:212].all()
    assert gaps[407:424].all()
    assert gaps[:195].mean() < 0.02
    geometry = result.annotation.geometry
    assert geometry is not None
    assert geometry.pixel_size_m == pytest.approx((172e-6, 172e-6))


@pytest.mark.parametrize("suffix", made_frames.WRITERS)
def test_a_file_of_every_format_is_answered(client, tmp_path, suffix):
    path = tmp_path / f"made.{suffix}"
    path.write_bytes(made_frames.WRITERS[suffix](made_frames.counts(900)))
    result = client.annotate(path)
    assert result.overlay("halo").shape == (195, 487)


def test_a_real_cbf_and_a_real_edf_are_answered(client, real_data):
    for name, shape in [
        ("tomekste5__v3_insitu_00001_00001.cbf", None),
        ("swaxsdcr__b_tassone_Standards_LaB6_T20_ctr0_scan1_0000.cbf", (195, 487)),
        ("fiberscripts__pilatus_A101_BUFFER_001_0003.edf", None),
    ]:
        result = client.annotate(real_data / name)
        frame = fabio.open(str(real_data / name)).data
        assert result.overlay("halo").shape == (shape or frame.shape)


def test_the_same_bytes_are_the_same_frame(client, tmp_path):
    file = write_frame(tmp_path / "once.edf", seed=2)
    (first,) = client.submit(file)
    (again,) = client.submit(file)
    assert (first.duplicate, again.duplicate) == (False, True)
    assert first.frame_id == again.frame_id
    assert client.annotate(file.read_bytes()).frame_id == first.frame_id


def test_a_stack_gives_a_result_for_each_frame_asked_for(client, tmp_path):
    np.save(tmp_path / "stack.npy", np.random.default_rng(3).poisson(9, (4, 60, 80)))
    one = client.annotate(tmp_path / "stack.npy")
    some = client.annotate(tmp_path / "stack.npy", "1:3")
    assert one.frame_id.endswith(".0")
    assert [result.frame_id[-2:] for result in some] == [".1", ".2"]
    assert some[0].overlay("ring").shape == (60, 80)


def test_a_file_that_is_no_image_is_refused_with_a_remedy(client):
    with pytest.raises(FrameRejected) as caught:
        client.annotate(b"no image at all, only words" * 100)
    assert caught.value.reason.remedy


def test_a_truncated_file_fails_with_a_reason(client, tmp_path):
    file = write_frame(tmp_path / "cut.edf", seed=4)
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(FrameRejected) as caught:
        client.annotate(file)
    assert caught.value.reason.type == "unreadable"


def test_search_finds_by_scan_and_tag_over_pages(client, tmp_path):
    sent = {
        client.annotate(write_frame(tmp_path / f"{seed}.edf", seed), scan="pages").frame_id
        for seed in range(100, 106)
    }
    assert {frame.frame_id for frame in client.search(scan="pages", limit=2)} == sent
    above = {frame.frame_id for frame in client.search("ring>=0", scan="pages", limit=4)}
    below = {frame.frame_id for frame in client.search(without="ring>=0", scan="pages")}
    assert (above, below) == (sent, set())


def test_a_correction_is_kept_reviewed_and_exported(client, tmp_path):
    result = client.annotate(write_frame(tmp_path / "corrected.edf", seed=91), scan="corrected")
    tag = result.tags[0]
    corner = LabelIn(value="absent", region=[(0, 0), (194.5, 486.5)])
    answer = client.label(result.frame_id, {tag: corner}, note="whole frame", shown=result)
    assert [(one.attribute, one.value) for one in answer.labels] == [(tag, "absent")]
    assert result.frame_id in {one.frame_id for one in client.search(labelled=True)}
    assert result.frame_id not in {one.frame_id for one in client.search(labelled=False)}
    seen = {one.frame.frame_id: one for one in client.review("model_vs_human")}
    assert seen[result.frame_id].attribute == tag
    assert seen[result.frame_id].figure == result.probabilities[tag]
    (label,) = [one for one in client.export_labels() if one.frame_id == result.frame_id]
    assert (label.scan, label.value, label.region) == ("corrected", "absent", corner.region)
    assert label.shown is not None
    assert label.shown.probabilities == result.probabilities
    client.label(result.frame_id, {tag: None})
    history = client.labels(result.frame_id, history=True).history
    assert history is not None
    assert [one.value for one in history] == ["absent", None]
    assert label.time not in {one.time for one in client.export_labels()}
    changed = client.export_labels(since=label.time)
    assert [one.value for one in changed if one.frame_id == result.frame_id] == [None]


def test_corrections_become_members_of_a_dataset(gateway, client, tmp_path):
    frames = [client.annotate(write_frame(tmp_path / f"{n}.edf", n), scan="set") for n in (92, 93)]
    for result in frames:
        client.label(result.frame_id, {"ring": "present", "halo": "absent", "spotted": "unsure"})
    labels = tmp_path / "labels.ndjson"
    ids = {result.frame_id for result in frames}
    said = [one.model_dump_json() for one in client.export_labels() if one.frame_id in ids]
    labels.write_text("\n".join(said) + "\n")
    vocabulary = load_vocabulary("aam20")
    members = read_snapshot(labels, vocabulary, gateway.home / "blobs")
    assert {one.frame_id for one in members} == ids
    assert len({one.experiment for one in members}) == 1
    for one in members:
        known = {vocabulary.ids[a]: value for a, value in enumerate(one.labels) if value >= 0}
        assert known == {"ring": 1, "halo": 0}
    members = [replace(one, split="train") for one in members]
    blobs = gateway.home / "blobs"
    manifest = write_manifest(tmp_path / "set.jsonl", vocabulary, members)
    examples = load_dataset(manifest, 64, "train", blobs=blobs)
    assert examples.x.shape == (2, 2, 64, 64)
    assert (examples.labels >= 0).sum() == 4


def test_events_tell_of_a_frame_and_can_be_taken_up_again(client, tmp_path):
    heard = []

    def listen(events, until):
        for event in events:
            heard.append(event)
            if event.frame_id == until and event.kind == "done":
                return

    (item,) = client.submit(write_frame(tmp_path / "event.edf", seed=5))
    listen(client.events(after=0), item.frame_id)
    kinds = [event.kind for event in heard if event.frame_id == item.frame_id]
    assert kinds == ["submitted", "done"]
    done = heard[-1]
    heard.clear()
    listen(client.events(after=done.id - 1), item.frame_id)
    assert [event.id for event in heard] == [done.id]


def test_the_service_tells_what_it_is(client, tmp_path):
    # Once a frame is answered, the worker is known to be there.
    client.annotate(write_frame(tmp_path / "first.edf", seed=6))
    assert sum(model.production for model in client.models()) == 1
    ids = [attribute.id for attribute in client.attributes()]
    assert len(ids) == 20
    assert "ring" in ids
    health = client.health()
    assert [worker.provider for worker in health.workers] == ["CPUExecutionProvider"]
    with pytest.raises(NotFound):
        client.frame("0" * 64)
    with pytest.raises(UnknownAttribute, match="Known"):
        client.result(next(client.search()).frame_id).overlay("no_such_attribute")


def test_pixels_profiles_and_a_nexus_file_are_those_of_the_frame(client, real_data, tmp_path):
    path = real_data / "bioxtas__saxslab_image.tiff"
    result = client.annotate(path)
    counts = fabio.open(str(path)).data
    pixels = client.pixels(result.frame_id)
    assert (pixels.shape, pixels.dtype) == (counts.shape, np.float32)
    live = ~np.isnan(pixels)
    np.testing.assert_array_equal(pixels[live], counts[live])
    radial = client.radial_profile(result.frame_id, chi_range_deg=(-90, 90))
    assert radial.q_inv_nm is not None
    assert radial.radius_px.shape == radial.q_inv_nm.shape == radial.intensity.shape
    assert (np.isnan(radial.intensity) == (radial.pixels == 0)).all()
    whole = client.radial_profile(result.frame_id)
    summed = np.nansum(whole.intensity * whole.pixels)
    assert summed == pytest.approx(pixels[live].sum(dtype=np.float64), rel=1e-5)
    between = (whole.q_inv_nm[:-1] + whole.q_inv_nm[1:]) / 2
    ring = client.azimuthal_profile(result.frame_id, q_range_inv_nm=(between[49], between[60]))
    assert (ring.chi_deg[0], len(ring.chi_deg)) == (-179.5, 360)
    assert ring.pixels.sum() == whole.pixels[50:61].sum()
    with pytest.raises(ValueError, match="q_range_inv_nm"):
        client.azimuthal_profile(result.frame_id, radius_range_px=(1, 2))
    client.save_nexus(result.frame_id, tmp_path / "frame.nxs")
    with h5py.File(tmp_path / "frame.nxs") as file:
        np.testing.assert_array_equal(file["entry/data/data"][()], np.nan_to_num(pixels))
    with pytest.raises(NotFound):
        client.save_nexus("0" * 64, tmp_path / "none.nxs")
    assert [one.name for one in tmp_path.iterdir()] == ["frame.nxs"]


def test_what_is_searched_is_counted_kept_and_written_to_files(gateway, client, tmp_path):
    sent = []
    for number in range(4):
        about = {"scan": "kept", "frame_number": number, "motors": {"temperature": 20.0 + number}}
        file = write_frame(tmp_path / f"{number}.edf", 400 + number)
        sent.append(client.annotate(file, **about).frame_id)
    assert (client.count(scan="kept").count, client.count("ring<0", scan="kept").count) == (4, 0)
    kept = client.save_search("kept ones", "ring>=0", scan="kept", query="halo >= 0 and ring <= 1")
    assert [one.id for one in client.saved_searches()] == [kept.id]
    assert [one.frame_id for one in client.search_saved(kept)] == sent[::-1]
    with pytest.raises(ApiError, match="another name"):
        client.save_search("kept ones", scan="other")
    client.forget_search(kept)
    with pytest.raises(NotFound):
        client.forget_search(kept)
    alike = client.similar(sent[0], limit=2)
    assert len(alike.items) == 2
    assert sent[0] not in {one.frame.frame_id for one in alike.items}
    (scan,) = [one for one in client.scans() if one.scan == "kept"]
    assert scan.frames == 4
    line = client.timeline("kept", ["ring", "halo"], against="temperature")
    assert (line.x, line.frame_ids) == ([20.0, 21.0, 22.0, 23.0], sent)
    client.export_table(tmp_path / "kept.csv", scan="kept")
    with (tmp_path / "kept.csv").open() as stream:
        assert [row["frame_id"] for row in csv.DictReader(stream)] == sent[::-1]
    client.export_annotations(f"{tmp_path}/kept.ndjson", scan="kept", order="oldest")
    said = [json.loads(one) for one in (tmp_path / "kept.ndjson").read_text().splitlines()]
    assert [one["frame_id"] for one in said] == sent
    client.label(sent[1], {"ring": "present"})
    client.export_dataset(tmp_path / "kept.jsonl", scan="kept", labelled=True, split="test")
    (member,) = read_manifest(tmp_path / "kept.jsonl").frames
    assert (member.frame_id, member.split, max(member.labels)) == (sent[1], "test", 1)
    with pytest.raises(ApiError, match="Take a filter away"):
        client.export_dataset(tmp_path / "none.jsonl", scan="nowhere")
    assert not (tmp_path / "none.jsonl").exists()


def test_one_frame_of_two_proposals_is_described_and_labelled_in_the_one_that_is_named(
    gateway, client, tmp_path
):
    file = write_frame(tmp_path / "shared.edf", seed=420)
    for proposal in ("first", "second"):
        frame_id = client.annotate(file, proposal=proposal).frame_id
    places = client.frame(frame_id).places
    first = next(place for place in places if place.proposal == "first")
    with pytest.raises(ApiError, match="known in several places"):
        client.describe(frame_id, sample="glass")
    assert client.describe(frame_id, within=first, sample="glass").proposal == "first"
    assert client.frame(frame_id).sample is None
    client.label(frame_id, {"ring": "present"}, within=first)
    assert client.labels(frame_id).labels == []
    assert [one.attribute for one in client.labels(frame_id, within=first).labels] == ["ring"]
    environment = {**os.environ, "SCATTERLENS_HOME": str(gateway.home), "COLUMNS": "200"}
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "scatterlens",
            "describe",
            frame_id,
            "--within",
            "second",
            "--scan",
            "9",
        ],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert run.stdout.startswith(frame_id)
    assert [client.frame(frame_id, proposal=one).scan for one in ("first", "second")] == [None, "9"]


def test_an_operator_sees_queues_tries_again_and_gives_keys(gateway, client, tmp_path):
    file = write_frame(tmp_path / "cut.edf", seed=410)
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(FrameRejected) as caught:
        client.annotate(file)
    job = next(one for one in client.troubled_jobs() if one.frame_id == caught.value.frame_id)
    assert job.reason is not None
    before = client.operations()
    assert before.failed > 0
    assert {queue.queue for queue in before.queues} >= {"annotate.live", "annotate.batch"}
    assert client.retry_jobs([job]) == [job.id]
    ends = time.monotonic() + 60
    while job.id not in {one.id for one in client.troubled_jobs() if one.attempts == 2}:
        assert time.monotonic() < ends
        time.sleep(0.1)
    made = client.create_key("an instrument", "viewer", expires_days=1, proposal="p1")
    assert (made.role, made.proposal) == ("viewer", "p1")
    with Client(gateway.url, made.key) as bound:
        assert list(bound.search(scan="kept")) == []
        with pytest.raises(Forbidden):
            bound.operations()
        assert client.revoke_key(made).revoked is not None
        with pytest.raises(Unauthorized):
            list(bound.search())
    assert made.id in {one.id for one in client.keys() if one.revoked}


def run_cli(gateway: Gateway, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line as a user has it: it finds the gateway by its home folder alone."""
    environment = {**os.environ, "SCATTERLENS_HOME": str(gateway.home)}
    return subprocess.run(
        [sys.executable, "-m", "scatterlens", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_command_line_says_what_python_says(gateway, client, tmp_path):
    files = [write_frame(tmp_path / f"{seed}.edf", seed) for seed in (200, 201)]
    run = run_cli(
        gateway, "annotate", "--json", "--overlays", tmp_path / "out", *files, tmp_path / "gone"
    )
    assert run.returncode == 1, run.stderr
    said = [json.loads(line) for line in run.stdout.splitlines()]
    assert [one["file"] for one in said] == [*map(str, files), str(tmp_path / "gone")]
    assert said[2]["reason"]["type"] == "missing"
    for file, one in zip(files, said, strict=False):
        result = client.annotate(file)
        assert one["probabilities"] == result.probabilities
        assert one["tags"] == result.tags
        written = {path.name for path in (tmp_path / "out").glob(f"{file.name}.*")}
        short = result.frame_id[:8]
        assert written == {f"{file.name}.{short}.{tag}.png" for tag in result.tags}


PONI = """poni_version: 2
Detector: Detector
Detector_config: {"pixel1": 1.72e-4, "pixel2": 1.72e-4}
Distance: 0.5
Poni1: 0.01
Poni2: 0.02
Rot1: 0
Rot2: 0
Rot3: 0
Wavelength: 1e-10
"""


def test_frames_are_described_as_they_are_sent_and_corrected_later(gateway, client, tmp_path):
    files = [write_frame(tmp_path / f"saxs_{n}_dark.edf", seed=500 + n) for n in (3, 4)]
    (tmp_path / "setup.poni").write_text(PONI)
    about = ["--scan", "12", "--poni", tmp_path / "setup.poni", "--motors", "th=0.5,phi=2"]
    numbered = ["--frame-number", "saxs_([0-9]+)_dark", "--extra", "operator=ada"]
    run = run_cli(gateway, "annotate", "--json", *about, *numbered, *files)
    assert run.returncode == 0, run.stderr
    ids = [json.loads(line)["frame_id"] for line in run.stdout.splitlines()]
    frames = [client.frame(frame_id) for frame_id in ids]
    assert [frame.frame_number for frame in frames] == [3, 4]
    for frame in frames:
        assert frame.motors == {"th": 0.5, "phi": 2.0}
        assert frame.extra == {"operator": "ada"}
        assert frame.geometry is not None
        assert frame.geometry.distance_m == 0.5
    run = run_cli(gateway, "describe", ids[0], "--scan", "13", "--forget", "motors.phi")
    assert run.returncode == 0, run.stderr
    assert "scan 12 -> 13" in run.stdout
    assert client.frame(ids[0]).motors == {"th": 0.5}
    corrected = client.describe(ids[0], sample="LaB6", scan=12, geometry=None)
    assert (corrected.scan, corrected.geometry) == ("12", None)
    assert corrected.history is not None
    assert len(corrected.history) == 2
    assert [one.frame_id for one in client.search(scan=12, order="frame_number")] == ids
    with pytest.raises(BadArgument, match="sample"):
        client.describe(ids[0], smaple="LaB6")
    for wrong, word in (("th", "Write --motors name=value"), ("th=warm", "is no number")):
        run = run_cli(gateway, "annotate", "--motors", wrong, files[0])
        assert run.returncode == 2, run.stdout
        assert word in run.stderr
    run = run_cli(gateway, "annotate", "--local", "--scan", "12", files[0])
    assert run.returncode == 2


def test_without_a_gateway_the_answer_is_the_same(gateway, client, tmp_path):
    file = write_frame(tmp_path / "same.edf", seed=210)
    run = run_cli(
        gateway, "annotate", "--local", "--model", "linear", "--json",
        "--overlays", tmp_path / "out", file, tmp_path / "gone",
    )  # fmt: skip
    here, gone = map(json.loads, run.stdout.splitlines())
    there = client.annotate(file)
    assert run.returncode == 1, run.stderr
    assert gone["reason"]["type"] == "missing"
    assert here["frame_id"] == there.frame_id
    assert here["tags"] == there.tags
    assert here["probabilities"] == pytest.approx(there.probabilities, abs=1e-5)
    assert len(list((tmp_path / "out").glob("*.png"))) == len(there.tags)


def test_the_service_and_explain_show_the_same_maps(gateway, client, tmp_path):
    file = write_frame(tmp_path / "explained.edf", seed=212)
    result = client.annotate(file)
    methods = ("cam", "attention", *GRADIENTS)
    (one,) = explain(file, None, str(gateway.home / "bundles/linear"), methods, ("ring",))
    here = {(found.method, found.name): found.values for found in one.maps}
    there = {
        ("cam", "ring"): result.overlay("ring"),
        ("attention", "value"): result.attention("value"),
        ("attention", "coverage"): result.attention("coverage"),
        **{
            (method, "ring"): client.gradients(result.frame_id, method, "ring")
            for method in GRADIENTS
        },
    }
    assert here.keys() == there.keys()
    for key, values in there.items():
        scale = np.nanmax(np.abs(values))
        np.testing.assert_allclose(here[key], values, rtol=0, atol=1e-3 * scale)
    with pytest.raises(NotFound, match="value, coverage"):
        result.attention("nothing")


def test_explain_writes_a_picture_for_each_map(gateway, tmp_path):
    file = write_frame(tmp_path / "explained.edf", seed=213)
    chosen = ["explain", "--model", "linear", "--out", tmp_path / "out", file]
    wanted = ["--attribute", "ring", "--attribute", "halo", "--method", "attention"]
    run = run_cli(gateway, *chosen, *wanted, "--method", "cam", "--method", "a_ch")
    assert run.returncode == 0, run.stderr
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name.startswith("explained.edf.")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "linear.attention.value.png",
        "linear.attention.coverage.png",
        *(f"linear.{m}.{a}.png" for m in ("cam", "a_ch") for a in ("ring", "halo")),
    }
    for path in folder.iterdir():
        with Image.open(path) as opened:
            pixels = np.asarray(opened)
        assert pixels.shape == (195, 487, 3)
        assert (pixels[:, 200:207] == drawing.MASKED).all()
    run = run_cli(gateway, *chosen, "--method", "patch")
    assert (run.returncode, run.stdout) == (1, "")
    assert "ask for `cam`" in run.stderr
    run = run_cli(gateway, *chosen[:-1], tmp_path / "gone.edf")
    assert run.returncode == 1
    assert "Check the path" in run.stderr
    file.write_bytes(b"words")
    run = run_cli(gateway, *chosen)
    assert run.returncode == 1
    assert "Format not read" in run.stdout


def test_show_tells_what_is_in_a_file(gateway, tmp_path):
    file = write_frame(tmp_path / "shown.edf", seed=211)
    run = run_cli(gateway, "show", file)
    assert run.returncode == 0, run.stderr
    facts = dict(re.findall(r"^ *(\w+) {2,}(\S.*?) *$", run.stdout, re.MULTILINE))
    assert facts["format"] == "edf"
    assert facts["shape"] == "195 x 487 (row, col)"
    assert facts["masked"] == f"{7 / 487:.2%} of the pixels"
    assert "/" in run.stdout  # the band of masked pixels in the picture
    run = run_cli(gateway, "show", file, "--out", tmp_path / "shown.png")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "shown.png").read_bytes().startswith(b"\x89PNG")
    file.write_bytes(b"words")
    run = run_cli(gateway, "show", file)
    assert run.returncode == 1
    assert run.stderr.startswith("Error: ")


def test_a_watch_loses_and_doubles_nothing_when_the_gateway_is_killed(gateway, client, tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    stop = threading.Event()
    told = []
    with (
        Client(gateway.url, gateway.key, retry_s=0) as sender,
        Journal(tmp_path / "journal.jsonl") as journal,
    ):
        watch = FolderWatch(
            folder,
            Rules(settle_s=0.3),
            journal,
            lambda path: sender.submit(path, scan="watched"),
            lambda path, outcome: told.append(outcome),
        )
        thread = threading.Thread(target=watch.run, args=(stop,))
        thread.start()
        try:
            for seed in range(300, 304):
                write_frame(folder / f"{seed}.edf", seed)
            ends = time.monotonic() + 60
            while len(journal) < 4 and time.monotonic() < ends:
                time.sleep(0.05)
            gateway.kill()
            for seed in range(304, 310):
                write_frame(folder / f"{seed}.edf", seed)
            while not any(isinstance(one, ConnectionError) for one in told):
                assert time.monotonic() < ends
                time.sleep(0.05)
            gateway.start()
            ends = time.monotonic() + 60
            while len(journal) < 10 and time.monotonic() < ends:
                time.sleep(0.05)
        finally:
            stop.set()
            thread.join()
    with Client(gateway.url, gateway.key) as after:
        found = list(after.search(scan="watched"))
        assert len(found) == len({frame.frame_id for frame in found}) == 10
        for frame in found:
            assert after.result(frame.frame_id).probabilities


def test_watch_on_the_command_line_sends_once_over_restarts(gateway, tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    write_frame(folder / "a.edf", seed=400)
    environment = {**os.environ, "SCATTERLENS_HOME": str(gateway.home), "COLUMNS": "200"}

    def watch_until(wanted: str) -> str:
        command = [sys.executable, "-m", "scatterlens", "watch", str(folder), "--settle", "0.2"]
        said = ""
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said += line
                if re.search(wanted, said):
                    break
            process.terminate()
        return said

    said = watch_until(r"seen a\.edf .+\n")
    assert "0 files dealt with before" in said
    assert re.search(r"sent a\.edf", said)
    write_frame(folder / "b.edf", seed=401)
    said = watch_until(r"sent b\.edf")
    assert "1 files dealt with before" in said
    assert "a.edf" not in said
