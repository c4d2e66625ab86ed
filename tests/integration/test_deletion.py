"""Frames that are deleted, and what retention removes: on both databases."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from starlette.testclient import TestClient

from scatterlens import Client
from scatterlens.errors import ApiError, NotFound
from scatterlens_service import ledger
from scatterlens_service.gateway.app import create_app
from scatterlens_service.keeping.file_locks import keeping_files
from scatterlens_service.keeping.removing import remove_files
from scatterlens_service.settings import Settings
from scatterlens_service.tending import retention
from scatterlens_worker.drain import drain
from scatterlens_worker.runtime import Runtime
from support.bundles import make_bundle
from support.gateway import Service, make_key, npy, picture
from support.serving import serving

TABLES = (
    *("frames", "submissions", "jobs", "annotations", "scores", "findings", "features"),
    *("labels", "spreads", "scans"),
)


@pytest.fixture
def service(engine, tmp_path, monkeypatch) -> Iterator[Service]:
    """A gateway over each kind of database."""
    monkeypatch.setenv("SCATTERLENS_HOME", str(tmp_path))
    make_bundle(tmp_path / "bundles")
    settings = Settings(
        database_url=engine.url.render_as_string(hide_password=False),
        active_models=("linear",),
        min_free_share=0.0,
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as http:
        http.headers["Authorization"] = f"Bearer {make_key(settings, 'Ada', role='admin')}"
        yield Service(http, settings)


@pytest.fixture
def work(service) -> Iterator[Callable[[], None]]:
    with Runtime(service.settings) as runtime:

        def work() -> None:
            while drain(runtime):
                pass

        yield work


def send(service: Service, body: bytes, **params: object) -> list[str]:
    sent = service.post(body, **params)
    assert sent.status_code in (200, 202), sent.text
    return [item["frame_id"] for item in sent.json()["items"]]


def stack(seed: int, count: int = 2) -> bytes:
    import numpy as np

    return npy(np.random.default_rng(seed).poisson(20, (count, 64, 64)).astype(np.int32))


def rows(service: Service) -> dict[str, int]:
    engine = ledger.open_engine(service.settings.database)
    with engine.connect() as connection:
        found = {
            table: connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in TABLES
        }
    engine.dispose()
    return found


def files(service: Service) -> set[str]:
    home = service.settings.home
    return {path.name for part in ("blobs", "renders") for path in home.glob(f"{part}/??/*")}


def delete(service: Service, frame_id: str, **params: object):
    params = {"reason": "wrong sample", **params}
    return service.http.delete(f"/api/v1/frames/{frame_id}", params=params)


def label(service: Service, frame_id: str) -> None:
    labels = {"labels": {"ring": {"value": "present"}}}
    said = service.http.put(f"/api/v1/frames/{frame_id}/labels", json=labels)
    assert said.status_code == 200, said.text


def draw(service: Service, work: Callable[[], None], frame_id: str) -> None:
    assert service.get(f"frames/{frame_id}/pixels.npy").status_code == 202
    work()
    assert service.get(f"frames/{frame_id}/pixels.npy").status_code == 200


def test_all_of_a_deleted_frame_goes_and_who_wanted_it_and_why_stays(service, work):
    send(service, picture(1), scan="a")
    work()
    before_rows, before_files = rows(service), files(service)
    (frame_id,) = send(service, picture(2), scan="b", filename="x.npy", proposal="p")
    send(service, picture(2), scan="a", sample="another")
    work()
    draw(service, work, frame_id)
    gone = delete(service, frame_id)
    assert gone.status_code == 200, gone.text
    assert gone.json()["by"] == "Ada"
    assert gone.json()["reason"] == "wrong sample"
    assert rows(service) == before_rows
    assert files(service) == before_files
    (told,) = service.get("deletions").json()["items"]
    assert told == gone.json()
    missing = service.get(f"frames/{frame_id}")
    assert missing.status_code == 404
    assert missing.json()["type"] == "deleted"
    assert "wrong sample" in missing.json()["detail"]
    hidden = service.http.get(
        f"/api/v1/frames/{frame_id}", headers=service.new_key(role="viewer", proposal="q")
    )
    assert hidden.json()["type"] == "unknown_frame"
    assert [one["frames"] for one in service.get("scans").json()["items"]] == [1]
    assert delete(service, frame_id).status_code == 404


def test_a_deleted_frame_that_is_sent_again_is_new(service, work):
    (frame_id,) = send(service, picture(1))
    work()
    first = service.get(f"frames/{frame_id}/annotation").json()
    assert delete(service, frame_id).status_code == 200
    again = service.post(picture(1))
    assert again.status_code == 202
    assert again.json()["items"][0]["duplicate"] is False
    work()
    answer = service.get(f"frames/{frame_id}/annotation").json()
    assert answer["attributes"] == first["attributes"]
    assert service.get(f"frames/{frame_id}/raw").content == picture(1)
    found = service.get(f"frames/{frame_id}/similar").json()
    assert found["items"] == []


def test_labels_are_asked_for_twice(service):
    (frame_id,) = send(service, picture(1))
    label(service, frame_id)
    refused = delete(service, frame_id)
    assert refused.status_code == 409
    assert refused.json()["type"] == "labelled"
    assert "Ada" in refused.json()["detail"]
    assert service.get(f"frames/{frame_id}/raw").status_code == 200
    gone = delete(service, frame_id, delete_labels=True)
    assert gone.json()["labels"] == 1
    assert rows(service)["labels"] == 0


def test_only_who_runs_the_service_deletes_and_says_why(service):
    (frame_id,) = send(service, picture(1))
    for options in ({"role": "scientist"}, {"role": "admin", "proposal": "p"}):
        headers = service.new_key(**options)
        address = f"/api/v1/frames/{frame_id}?reason=x"
        assert service.http.delete(address, headers=headers).status_code == 403
    assert service.http.delete(f"/api/v1/frames/{frame_id}").status_code == 422
    assert service.get(f"frames/{frame_id}").status_code == 200


def test_the_file_of_a_stack_stays_as_long_as_one_of_its_frames(service, work):
    first, second = send(service, stack(1))
    work()
    assert delete(service, first).status_code == 200
    assert service.get(f"frames/{second}/raw").content == stack(1)
    assert delete(service, second).status_code == 200
    assert files(service) == set()


def test_who_saw_a_frame_hears_that_it_was_deleted(service):
    (frame_id,) = send(service, picture(1), proposal="p")
    engine = ledger.open_engine(service.settings.database)
    with ledger.reading(engine) as session:
        newest = ledger.last_event_id(session)
    assert delete(service, frame_id).status_code == 200
    with ledger.reading(engine) as session:
        for proposal, hears in ((None, True), ("p", True), ("q", False)):
            who = ledger.Principal("k", "k", "n", "viewer", frozenset(), proposal=proposal)
            events = ledger.events_after(session, newest, sees=who)
            assert [one.frame_id for one in events if one.kind == "deleted"] == [frame_id] * hears
    engine.dispose()


def test_a_frame_that_is_deleted_while_a_worker_has_it_leaves_nothing(service):
    (frame_id,) = send(service, picture(1))
    engine = ledger.open_engine(service.settings.database)
    with Runtime(service.settings) as runtime:
        decode = runtime.decoder.decode

        def deleted_meanwhile(*arguments):
            frame = decode(*arguments)
            assert delete(service, frame_id).status_code == 200
            return frame

        runtime.decoder.decode = deleted_meanwhile
        while drain(runtime):
            pass
    remove_files(engine, service.settings)
    engine.dispose()
    assert files(service) == set()
    assert rows(service) == dict.fromkeys(TABLES, 0)


def test_no_file_goes_while_a_backup_is_made(service, work):
    (frame_id,) = send(service, picture(1))
    work()
    kept = files(service)
    with keeping_files(service.settings.home):
        assert delete(service, frame_id).status_code == 200
        assert files(service) == kept
    end = time.monotonic() + 60
    while files(service):  # the sweep takes them
        assert time.monotonic() < end
        time.sleep(0.02)


def test_frames_that_are_sent_and_deleted_at_once_are_whole_or_gone(service):
    """Of a frame that the ledger knows the file is always there."""
    body, stop, seen = picture(1), threading.Event(), []
    (frame_id,) = send(service, body)

    def delete_again_and_again() -> None:
        while not stop.is_set():
            delete(service, frame_id)

    deleting = threading.Thread(target=delete_again_and_again)
    deleting.start()
    try:
        for _ in range(60):
            sent = service.post(body)
            assert sent.status_code in (200, 202, 503), sent.text
            seen.append(sent.status_code)
    finally:
        stop.set()
        deleting.join()
    send(service, body)
    assert service.get(f"frames/{frame_id}/raw").content == body
    assert 202 in seen


@contextmanager
def removing_once(engine: Engine, folder: Path, kept: str = "") -> Iterator[None]:
    """Remove the first file that comes, before whoever wrote it begins to write its row.

    As the deletion of a frame with the same file does.
    """
    removed: list[Path] = []

    def remove(*_: object) -> None:
        for path in folder.glob("??/*"):
            if not removed and path.name != kept:
                removed.append(path)
                path.unlink()

    event.listen(engine, "checkout", remove)
    yield
    event.remove(engine, "checkout", remove)
    assert removed


def test_a_frame_whose_file_was_removed_before_its_row_is_not_taken(service):
    engine = service.http.app_state["gateway"].engine
    with removing_once(engine, service.settings.blob_folder):
        refused = service.post(picture(1))
    assert refused.status_code == 503
    assert refused.json()["type"] == "file_removed"
    assert rows(service)["frames"] == 0
    assert service.post(picture(1)).status_code == 202


def test_an_answer_whose_arrays_were_removed_before_its_row_has_them_all_the_same(service):
    (frame_id,) = send(service, picture(1))
    with (
        Runtime(service.settings) as runtime,
        removing_once(runtime.engine, service.settings.blob_folder, kept=frame_id),
    ):
        while drain(runtime):
            pass
    assert service.get(f"frames/{frame_id}/overlays/ring.npy").status_code == 200


# --- retention


def age(service: Service, days: float) -> None:
    """Let all that is there be older."""
    engine = ledger.open_engine(service.settings.database)
    with engine.begin() as connection:
        for table, column in (
            ("frames", "created"),
            ("frames", "raw_kept"),
            ("annotations", "time"),
        ):
            connection.execute(text(f"UPDATE {table} SET {column} = {column} - {days * 86_400}"))
    engine.dispose()


def retain(service: Service, **days: float) -> tuple[retention.Freed, retention.Freed]:
    """What is planned, and what is done."""
    settings = service.settings.model_copy(update=days)
    engine = ledger.open_engine(settings.database)
    planned = retention.plan(settings, engine)
    before = files(service)
    assert files(service) == before, "a dry run removes nothing"
    done = retention.apply(settings, engine)
    engine.dispose()
    return planned, done


def test_old_files_go_and_who_asks_hears_why(service, work):
    old, labelled = send(service, picture(1)) + send(service, picture(2))
    label(service, labelled)
    work()
    draw(service, work, old)
    age(service, 10)
    (new,) = send(service, picture(3))
    work()
    planned, done = retain(service, retain_raw_days=5)
    assert (done.files, done.file_bytes) == (1, len(picture(1)))
    assert planned == done
    for path in ("raw", "pixels.npy", "profiles/radial", "nexus"):
        gone = service.get(f"frames/{old}/{path}")
        assert gone.status_code == 410, path
        assert gone.json()["type"] == "raw_removed"
        assert "Send the file again" in gone.json()["remedy"]
    for path in ("annotation", "preview.png", "overlays/ring.png", ""):
        assert service.get(f"frames/{old}/{path}".rstrip("/")).status_code == 200
    for kept in (labelled, new):
        assert service.get(f"frames/{kept}/raw").status_code == 200
    assert retain(service, retain_raw_days=5)[1].is_nothing


def test_a_file_that_is_sent_again_is_kept_anew(service, work):
    (frame_id,) = send(service, picture(1))
    work()
    age(service, 10)
    retain(service, retain_raw_days=5)
    assert service.post(picture(1)).status_code == 200
    assert service.get(f"frames/{frame_id}/raw").content == picture(1)
    draw(service, work, frame_id)
    assert retain(service, retain_raw_days=5)[1].is_nothing
    age(service, 10)
    assert retain(service, retain_raw_days=5)[1].files == 1


@pytest.mark.parametrize(
    ("days", "gone", "stays"),
    [
        ("retain_preview_days", "preview.npy", "overlays/ring.npy"),
        ("retain_map_days", "overlays/ring.npy", "preview.npy"),
    ],
)
def test_old_previews_and_maps_go_each_by_itself(service, work, days, gone, stays):
    old, labelled = send(service, picture(1)) + send(service, picture(2))
    work()
    label(service, labelled)
    age(service, 10)
    planned, done = retain(service, **{days: 5})
    assert (done.previews, done.maps) == ((1, 0) if "preview" in days else (0, 1))
    assert planned == done
    assert done.preview_bytes + done.map_bytes > 0
    refused = service.get(f"frames/{old}/{gone}")
    assert refused.status_code == 410
    assert refused.json()["type"] == "not_kept"
    assert refused.json()["remedy"]
    assert service.get(f"frames/{old}/{stays}").status_code == 200
    for path in ("annotation", "annotations", "similar", "raw"):
        assert service.get(f"frames/{old}/{path}").status_code == 200, path
    assert service.get(f"frames/{labelled}/{gone}").status_code == 200
    assert retain(service, **{days: 5})[1].is_nothing
    # Nothing is left that no row names.
    assert len(files(service)) == 4


def test_a_frame_whose_labels_were_withdrawn_and_one_that_waits_are_left_alone(service, work):
    (withdrawn,) = send(service, picture(1))
    work()
    label(service, withdrawn)
    service.http.put(f"/api/v1/frames/{withdrawn}/labels", json={"labels": {"ring": None}})
    send(service, picture(2))  # nobody has looked at it yet
    age(service, 10)
    planned, done = retain(service, retain_raw_days=1, retain_preview_days=1, retain_map_days=1)
    assert done.is_nothing
    assert planned.is_nothing


def test_one_labelled_frame_keeps_the_file_of_its_stack(service, work):
    first, _ = send(service, stack(1))
    work()
    label(service, first)
    age(service, 10)
    assert retain(service, retain_raw_days=1)[1].files == 0


def test_a_model_that_looks_at_old_frames_leaves_out_those_without_a_file(service, work):
    for seed in (1, 2):
        send(service, picture(seed))
    work()
    age(service, 10)
    label(service, send(service, picture(1))[0])
    retain(service, retain_raw_days=5)
    other = make_bundle(service.settings.home / "made", "linear", seed=1)
    engine = ledger.open_engine(service.settings.database)
    from scatterlens_service import registry

    registry.register(service.settings, engine, other.path, None, "test")
    with ledger.writing(engine) as session:
        ledger.request_reannotation(session, other.version, {}, "test")
        assert ledger.queue_old_frames(session, 100) == 1
    engine.dispose()


def test_a_service_with_a_policy_applies_it_by_itself(service, work, tmp_path: Path):
    (frame_id,) = send(service, picture(1))
    work()
    age(service, 10)
    settings = service.settings.model_copy(update={"retain_raw_days": 5.0})
    with TestClient(create_app(settings)):
        end = time.monotonic() + 60
        while service.get(f"frames/{frame_id}/raw").status_code != 410:
            assert time.monotonic() < end
            time.sleep(0.02)


# --- from Python and the command line


def scatterlens(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scatterlens", *arguments]
    environment = {**os.environ, "SCATTERLENS_HOME": str(home), "COLUMNS": "200"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def test_frames_are_deleted_from_python_and_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv("SCATTERLENS_ACTIVE_MODELS", "linear")
    monkeypatch.setenv("SCATTERLENS_MIN_FREE_SHARE", "0")
    home = tmp_path / "home"
    make_bundle(home / "bundles")
    with serving(home) as site, Client(site.url, site.key) as client:
        first, second, third = (client.annotate(picture(seed)).frame_id for seed in range(3))
        client.label(second, {"ring": "present"})
        assert client.delete_frame(first, "a test").frame_id == first
        with pytest.raises(NotFound, match="a test"):
            client.frame(first)
        with pytest.raises(ApiError, match="1 entries") as refused:
            client.delete_frame(second, "a test")
        assert refused.value.problem.type == "labelled"

        kept = scatterlens(home, "delete", second, third, "--reason", "beam lost")
        assert kept.returncode == 1
        assert f"deleted: {third}" in kept.stdout
        assert f"{second} stays" in kept.stderr
        assert "Traceback" not in kept.stderr
        gone = scatterlens(home, "delete", second, "--reason", "beam lost", "--delete-labels")
        assert gone.returncode == 0, gone.stderr
        assert [one.frame_id for one in client.deletions()] == [second, third, first]
        assert [one.by for one in client.deletions()] == ["start"] * 3
        assert list(client.search()) == []

        client.annotate(picture(9))
        nothing = scatterlens(home, "retain", "--dry-run")
        assert nothing.returncode == 2
        assert "SCATTERLENS_RETAIN_RAW_DAYS" in nothing.stderr
        planned = scatterlens(home, "retain", "--dry-run", "--raw-days", "1e-9", "--map-days", "9")
        assert planned.returncode == 0, planned.stderr
        assert f"{len(picture(9)):,}" in planned.stdout
        assert "would be removed" in planned.stdout
        (frame,) = client.search()
        with site.http() as http:
            assert http.get(f"frames/{frame.frame_id}/raw").status_code == 200
            assert scatterlens(home, "retain", "--raw-days", "1e-9").returncode == 0
            assert http.get(f"frames/{frame.frame_id}/raw").status_code == 410
        with pytest.raises(ApiError, match="Send the file again"):
            client.pixels(frame.frame_id)
