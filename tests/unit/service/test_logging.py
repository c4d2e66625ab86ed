"""What the service writes down: each request once, each trouble once."""

import errno
import json
import logging
import sqlite3
import threading

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from scatterlens_service import ledger
from scatterlens_service.gateway.errors import is_full
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_service.migrations import migrate_engine
from scatterlens_service.settings import Settings
from scatterlens_service.tending.attendance import Attendance
from scatterlens_service.tending.bell import NoBell
from scatterlens_service.tending.sweeping import sweep_forever
from scatterlens_service.tending.troubles import Troubles
from support.gateway import picture
from support.waiting import wait_until

ACCESS = "scatterlens_service.gateway.access_log"


def lines(caplog, name: str = "") -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name.startswith(name)]


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO)
    return caplog


def test_a_request_is_a_line_with_its_key_method_path_status_and_time(service, logged):
    key_id = service.http.headers["Authorization"].split("_")[1]
    service.get("frames", tag="ring")
    service.get("frames/unknown")
    assert len(lines(logged, ACCESS)) == 2
    first, second = lines(logged, ACCESS)
    assert first.startswith(f"key={key_id} method=GET path=/api/v1/frames status=200 ms=")
    assert float(first.rpartition("=")[2]) > 0
    assert f"key={key_id} method=GET path=/api/v1/frames/unknown status=404" in second


def test_the_line_of_a_head_request_or_one_with_a_body_tells_the_key_too(service, logged):
    key_id = service.http.headers["Authorization"].split("_")[1]
    service.http.head("/api/v1/frames")
    service.http.post("/api/v1/searches", json={"name": "rings", "query": "tag=ring"})
    head, saved = lines(logged, ACCESS)
    assert head.startswith(f"key={key_id} method=HEAD path=/api/v1/frames status=200")
    assert saved.startswith(f"key={key_id} method=POST path=/api/v1/searches status=201")


def test_no_line_tells_a_secret_or_what_somebody_searched(service, logged):
    key = service.http.headers["Authorization"].removeprefix("Bearer ")
    secret = key.split("_", 2)[2]
    service.get("frames", sample="secret sample")
    service.http.post("/api/v1/session", json={"key": key})
    service.http.post(f"/api/v1/keys/{key}/revoke")
    service.http.get("/api/v1/frames", headers={"Authorization": "Bearer sl_0_guess"})
    said = "\n".join(lines(logged, "scatterlens"))
    assert len(lines(logged, ACCESS)) == 4
    assert secret not in said
    assert "secret sample" not in said
    assert "guess" not in said
    assert "key=- method=GET path=/api/v1/frames status=401" in said


def test_a_path_makes_no_line_of_its_own(service, logged):
    service.http.get("/api/v1/frames/x%0Akey=admin method=GET")
    (line,) = lines(logged, ACCESS)
    assert "\n" not in line
    assert "%0A" in line


def test_a_probe_that_succeeds_says_nothing(service, logged):
    service.http.get("/health/live")
    assert lines(logged, ACCESS) == []


def test_a_full_disk_is_said_once_and_answered_each_time(service, logged):
    engine = service.http.app_state["gateway"].engine

    def fill(connection, *_: object) -> None:
        # SQLite itself finds no room: its file may have no more pages than it has.
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(engine, "checkout", fill)
    motors = {f"{number:090}": number for number in range(900)}
    headers = {"X-Scatterlens-Metadata": json.dumps({"motors": motors})}
    seeds = iter(range(100))
    wait_until(lambda: service.post(picture(next(seeds)), headers).status_code == 507)
    for _ in range(5):
        refused = service.post(picture(next(seeds)), headers)
        assert refused.status_code == 507
        assert refused.json()["type"] == "disk_full"
    assert sum("disk is full" in line for line in lines(logged)) == 1


def test_a_full_queue_is_said_once_and_again_after_its_end(open_service, logged):
    service = open_service(max_queue=1)
    gateway = service.http.app_state["gateway"]
    service.post(picture(1))
    wait_until(lambda: service.post(picture(1)).status_code == 503)  # it looks once a second
    for _ in range(20):
        assert service.post(picture(1)).status_code == 503
    assert sum("queue is full" in line for line in lines(logged)) == 1
    gateway.troubles.end("queue_full")
    assert "queue_full: over; met 21 times" in lines(logged)[-1]
    service.post(picture(1))
    assert sum("queue is full" in line for line in lines(logged)) == 2


def test_a_loop_that_fails_each_time_says_so_once_and_when_it_works_again(tmp_path, logged):
    settings = Settings(home=tmp_path, sweep_seconds=0.005)
    engine = ledger.open_engine(settings.database)  # without a table
    stop, files = threading.Event(), BlobFolder(tmp_path / "files")
    sweeping = threading.Thread(
        target=sweep_forever, args=(engine, NoBell(), files, files, settings, Attendance(), stop)
    )
    sweeping.start()
    try:
        wait_until(lambda: any("the sweep failed" in line for line in lines(logged)))
        migrate_engine(engine)
        wait_until(lambda: any("the sweep: over" in line for line in lines(logged)))
    finally:
        stop.set()
        sweeping.join()
        engine.dispose()
    assert sum("the sweep failed" in line for line in lines(logged)) == 1


def test_a_trouble_that_nobody_meets_any_more_is_over(logged, monkeypatch):
    troubles = Troubles(logging.getLogger("test"))
    for _ in range(3):
        troubles.meet("x", "x does not work")
    monkeypatch.setattr("scatterlens_service.tending.troubles.QUIET_SECONDS", -1.0)
    troubles.settle()
    assert lines(logged, "test") == [
        "x does not work (said once, until it works again)",
        "x: over; met 3 times in 0 s",
    ]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "no room"), True),
        (OSError(errno.EDQUOT, "no quota"), True),
        (OSError(errno.EIO, "broken"), False),
        (OperationalError("x", None, sqlite3.OperationalError("database is locked")), False),
        (OperationalError("x", None, psycopg.errors.DiskFull()), True),
    ],
)
def test_a_full_disk_is_known_from_other_faults_of_every_layer(error, full):
    assert is_full(error) is full
