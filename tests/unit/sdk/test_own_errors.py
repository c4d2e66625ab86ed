"""The SDK raises its own errors alone, whatever it is given and whatever comes back."""

import gzip
import inspect
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scatterlens import Client
from scatterlens.errors import (
    ApiError,
    BadArgument,
    CannotRead,
    CannotWrite,
    MissingFile,
    ScatterlensError,
    TransportError,
)
from scatterlens.schemas import OldFrames, SavedSearch

SOON = {"wait": 0.1}
SAVED = SavedSearch.model_validate(
    {"id": 1, "time": "2026-01-01T00:00:00Z", "name": "x", "query": "scan=7"}
)


def calls(tmp_path: Path) -> dict[str, Callable[[Client], object]]:
    """Each public method of the client, by its name."""
    frame, out = "ab" * 32, tmp_path / "out"
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "bundle.json").write_text("{}")
    return {
        "annotate": lambda c: c.annotate(b"pixels", **SOON),
        "annotate_many": lambda c: [one.error for one in c.annotate_many([b"pixels"], **SOON)],
        "submit": lambda c: c.submit(b"pixels"),
        "result": lambda c: c.result(frame, **SOON),
        "annotations": lambda c: c.annotations(frame, **SOON),
        "frame": lambda c: c.frame(frame),
        "label": lambda c: c.label(frame, {"ring": "present"}),
        "labels": lambda c: c.labels(frame),
        "review": lambda c: list(c.review()),
        "export_labels": lambda c: list(c.export_labels()),
        "train": lambda c: c.train(),
        "training": lambda c: c.training("run-1"),
        "trainings": lambda c: c.trainings(),
        "cancel_training": lambda c: c.cancel_training("run-1"),
        "training_metrics": lambda c: c.training_metrics("run-1"),
        "wait_for_training": lambda c: c.wait_for_training("run-1", wait=0.1),
        "model": lambda c: c.model("slim"),
        "register_model": lambda c: c.register_model(bundle),
        "promote_model": lambda c: c.promote_model("slim", "better"),
        "roll_back_model": lambda c: c.roll_back_model("worse"),
        "set_candidate": lambda c: c.set_candidate("slim"),
        "annotate_old_frames": lambda c: c.annotate_old_frames("slim", OldFrames()),
        "attributes": lambda c: c.attributes(),
        "models": lambda c: c.models(),
        "health": lambda c: c.health(),
        "search": lambda c: list(c.search("ring")),
        "count": lambda c: c.count("ring"),
        "similar": lambda c: c.similar(frame),
        "saved_searches": lambda c: c.saved_searches(),
        "save_search": lambda c: c.save_search("rings", "ring"),
        "search_saved": lambda c: list(c.search_saved(SAVED)),
        "forget_search": lambda c: c.forget_search(SAVED),
        "scans": lambda c: list(c.scans()),
        "timeline": lambda c: c.timeline("7", ["ring"]),
        "export_table": lambda c: c.export_table(out),
        "export_annotations": lambda c: c.export_annotations(out),
        "export_dataset": lambda c: c.export_dataset(out),
        "pixels": lambda c: c.pixels(frame, **SOON),
        "radial_profile": lambda c: c.radial_profile(frame, **SOON),
        "azimuthal_profile": lambda c: c.azimuthal_profile(frame, **SOON),
        "spread": lambda c: c.spread(frame, "ring"),
        "gradients": lambda c: c.gradients(frame, "gradcam", "ring", **SOON),
        "save_nexus": lambda c: c.save_nexus(frame, out, **SOON),
        "describe": lambda c: c.describe(frame, sample="glass"),
        "delete_frame": lambda c: c.delete_frame(frame, "a reason"),
        "deletions": lambda c: list(c.deletions()),
        "operations": lambda c: c.operations(),
        "troubled_jobs": lambda c: list(c.troubled_jobs()),
        "retry_jobs": lambda c: c.retry_jobs([1]),
        "keys": lambda c: c.keys(),
        "create_key": lambda c: c.create_key("me", "viewer"),
        "revoke_key": lambda c: c.revoke_key("abc"),
        "events": lambda c: next(c.events()),
    }


RAISE_NOTHING = {"forget_search", "set_candidate", "export_table", "export_annotations"}
"""What needs no document of the answer: any 200 is one."""
RAISE_NOTHING |= {"export_dataset", "save_nexus", "training_metrics"}
ANSWERS = {
    "a page of a proxy": (200, b"<html>Please log in</html>", {"Content-Type": "text/html"}),
    "another document": (200, b'{"status": "fine"}', {"Content-Type": "application/json"}),
    "a list": (200, b"[1, 2]", {"Content-Type": "application/json"}),
    "no text at all": (200, b"\xff\xfe\x00", {"Content-Type": "application/json"}),
    "a proxy's error": (502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}),
    "an error of another shape": (404, b'{"type": 5}', {"Content-Type": "application/json"}),
    "a redirection": (302, b"", {"Location": "https://login.example/"}),
    "no gzip": (200, b"plain", {"Content-Encoding": "gzip"}),
    "half a gzip": (200, gzip.compress(b"[]" * 1000)[:20], {"Content-Encoding": "gzip"}),
}


def test_every_public_method_is_walked(tmp_path):
    public = {
        name
        for name, _ in inspect.getmembers(Client, inspect.isfunction)
        if not name.startswith("_")
    }
    assert set(calls(tmp_path)) == public - {"close"}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_whatever_answers_the_error_is_ours(gateway, tmp_path, answer):
    status, body, headers = answer
    gateway.say(status, body, **headers)
    with Client(retry_s=0) as client:
        for name, call in calls(tmp_path).items():
            if name == "annotate_many":
                assert all(isinstance(error, ScatterlensError) for error in call(client))
                continue
            if name in RAISE_NOTHING and status == 200:
                with suppress(ScatterlensError):
                    call(client)
            else:
                with pytest.raises(ScatterlensError):
                    call(client)


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """A server that closes every connection in the middle of its answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[")

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def test_a_connection_that_breaks_is_an_error_of_ours(hanging_up, dead_url, tmp_path):
    made = calls(tmp_path)
    del made["annotate_many"], made["events"]  # the second goes on for a while
    for url in (hanging_up, dead_url):
        with Client(url, "sl_x_y", retry_s=0) as client:
            for call in made.values():
                with pytest.raises(TransportError):
                    call(client)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("nonsense", None),
        ("ftp://host", None),
        ("http://", None),
        ("http://[", None),
        ("http://host:port", None),
        ("http://127.0.0.1:1", "Schlüssel"),
        ("http://127.0.0.1:1", "sl_a\nb"),
    ],
)
def test_an_address_or_key_that_cannot_be_is_a_bad_argument(url, key):
    with pytest.raises(BadArgument):
        Client(url, key)


def test_a_file_that_cannot_be_read_is_an_error_of_ours_and_of_the_system(gateway, tmp_path):
    with Client(retry_s=0) as client:
        for call in (client.annotate, client.submit, client.register_model):
            with pytest.raises(MissingFile, match=r"absent.cbf cannot be read: .*\.$"):
                call(tmp_path / "absent.cbf")
        with pytest.raises(FileNotFoundError):
            client.submit(str(tmp_path / "absent.cbf"))
        with pytest.raises(CannotRead):
            client.submit(tmp_path)
        with pytest.raises(MissingFile, match=r"bundle\.json"):
            client.register_model(tmp_path)
        (found,) = client.annotate_many([tmp_path / "absent.cbf"])
        assert isinstance(found.error, MissingFile)
    assert gateway.requests == []


def test_a_file_that_cannot_be_written_is_an_error_of_ours(gateway, tmp_path):
    gateway.say(200, b"table")
    (tmp_path / "a file").write_text("")
    with Client(retry_s=0) as client:
        for place in (tmp_path / "absent" / "out.csv", tmp_path / "a file" / "out.csv"):
            with pytest.raises(CannotWrite, match="cannot be written"):
                client.export_table(place)
        with pytest.raises(CannotWrite):
            client.save_nexus("ab" * 32, tmp_path / "absent" / "out.nxs")


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.submit(5),
        lambda c: c.submit(None),
        lambda c: c.submit(b"x", frame_number=-1),
        lambda c: c.submit(b"x", motors={"th": "high"}),
        lambda c: c.annotate(b"x", geometry={"distance_m": 0}),
        lambda c: c.result("ab" * 32, wait="long"),
        lambda c: c.frame("a\0b"),
        lambda c: c.search(5),
        lambda c: c.timeline("7", 5),
        lambda c: c.save_search("", "ring"),
        lambda c: c.save_search("a\nb", "ring"),
        lambda c: c.label("ab" * 32, ["ring"]),
        lambda c: c.label("ab" * 32, {"ring": "perhaps"}),
        lambda c: c.label("ab" * 32, {}),
        lambda c: c.train(passes=0),
        lambda c: c.create_key("", "viewer"),
        lambda c: c.create_key("me", "emperor"),
        lambda c: c.retry_jobs(5),
        lambda c: c.retry_jobs(["x"]),
        lambda c: c.export_table(5),
        lambda c: c.radial_profile("ab" * 32, chi_range_deg=5),
        lambda c: c.azimuthal_profile("ab" * 32, q_range_inv_nm=("a", "b")),
    ],
)
def test_an_argument_that_cannot_be_is_a_bad_argument(gateway, call):
    gateway.say(200, [])
    with Client(retry_s=0) as client, pytest.raises(BadArgument) as raised:
        call(client)
    assert isinstance(raised.value, ValueError)
    assert gateway.requests == []


def test_what_a_person_says_of_a_model_is_checked(gateway):
    gateway.say(200, [])
    with Client(retry_s=0) as client:
        for call in (
            lambda: client.promote_model("0123456789ab", ""),
            lambda: client.roll_back_model(""),
            lambda: client.set_candidate("none of them"),
        ):
            with pytest.raises(BadArgument):
                call()


def test_an_answer_of_another_shape_says_whose(gateway):
    gateway.say(200, b"<html>")
    with Client(retry_s=0) as client, pytest.raises(ApiError) as raised:
        client.models()
    assert raised.value.problem.type == "unexpected_answer"
    assert gateway.url in str(raised.value)
