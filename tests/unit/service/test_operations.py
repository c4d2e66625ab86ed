"""Running the service: what it tells of itself, and frames that are tried again."""

from sqlalchemy import text

from scatterlens_service import ledger
from support.gateway import Service, follow, picture


def told_of(service: Service, state: str, **params: object) -> dict:
    answer = service.get("jobs", state=state, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def retry(service: Service, job_id: int):
    return service.http.post(f"/api/v1/jobs/{job_id}/retry")


def quarantine(service: Service) -> None:
    """Three workers take whatever waits and never come back."""
    engine = ledger.open_engine(service.settings.database)
    for number in range(3):
        with ledger.writing(engine) as session:
            assert ledger.lease(session, f"gone-{number}", 100, 60.0)
            while ledger.lease(session, f"gone-{number}", 100, 60.0):
                pass  # one that was lost before is taken alone
        with ledger.writing(engine) as session:
            session.execute(text("UPDATE jobs SET lease_until = 1 WHERE state = 'leased'"))
            ledger.sweep(session)
    engine.dispose()


def test_a_failed_frame_is_listed_with_its_reason_and_fails_again(service, work):
    sent = service.post(picture(1)[:200], {"Content-Disposition": 'filename="cut.npy"'})
    frame_id = sent.json()["items"][0]["frame_id"]
    work()
    (job,) = told_of(service, "failed")["items"]
    assert (job["frame_id"], job["filename"], job["attempts"]) == (frame_id, "cut.npy", 1)
    assert job["reason"]["remedy"]
    assert told_of(service, "quarantined")["items"] == []
    answer = retry(service, job["id"])
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["reason"]) == ("queued", None)
    assert told_of(service, "failed")["items"] == []
    work()
    (again,) = told_of(service, "failed")["items"]
    assert (again["id"], again["attempts"], again["reason"]) == (job["id"], 2, job["reason"])


def test_a_quarantined_frame_that_is_tried_again_is_answered(service, work, live):
    frame_id = service.post(picture(1)).json()["items"][0]["frame_id"]
    quarantine(service)
    (job,) = told_of(service, "quarantined")["items"]
    assert (job["attempts"], job["lost_leases"], job["reason"]["type"]) == (3, 3, "no_verdict")
    key = service.new_key(role="viewer")
    with follow(live, key) as events:
        again = retry(service, job["id"]).json()
        assert (again["state"], again["lost_leases"], again["crashes"]) == ("queued", 0, 0)
        told = next(events)
        assert (told["kind"], told["frame_id"]) == ("retried", frame_id)
        work()
        assert next(events)["kind"] == "done"
    assert service.get(f"frames/{frame_id}/annotation").json()["state"] == "done"
    assert service.kept()["annotations"] == 1


def test_what_did_not_end_badly_is_not_tried_again(service, work):
    service.post(picture(1))
    assert retry(service, 1).json()["type"] == "not_ended_badly"
    work()
    answer = retry(service, 1)
    assert (answer.status_code, answer.json()["type"]) == (409, "not_ended_badly")
    assert "done" in answer.json()["detail"]
    assert (retry(service, 99).status_code, retry(service, 99).json()["type"]) == (
        404,
        "unknown_job",
    )
    assert retry(service, 0).status_code == 422


def test_many_are_tried_again_at_once_and_pages_hold_each_once(service):
    for seed in range(5):
        service.post(picture(seed))
    quarantine(service)
    service.post(picture(9))
    first = told_of(service, "quarantined", limit=2)
    second = told_of(service, "quarantined", limit=2, cursor=first["next_cursor"])
    third = told_of(service, "quarantined", limit=2, cursor=second["next_cursor"])
    ids = [job["id"] for page in (first, second, third) for job in page["items"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 5
    assert third["next_cursor"] is None
    wanted = {"ids": [*ids[:3], ids[0], 9999, 6]}  # the sixth waits: it is left alone
    answer = service.http.post("/api/v1/jobs/retry", json=wanted)
    assert answer.json() == {"ids": sorted(ids[:3])}
    assert [job["id"] for job in told_of(service, "quarantined")["items"]] == ids[3:]
    assert service.http.post("/api/v1/jobs/retry", json={"ids": []}).status_code == 422
    assert service.get("jobs", state="failed", cursor="xyz").json()["type"] == "bad_cursor"
    assert service.get("jobs", state="done").status_code == 422


def test_the_service_tells_how_it_does(service, work):
    service.post(picture(1)[:200])
    service.post(picture(2))
    work()
    service.post(picture(3))
    told = service.get("operations").json()
    live = next(queue for queue in told["queues"] if queue["queue"] == "annotate.live")
    assert live.items() >= {"kind": "annotate", "queued": 1, "leased": 0}.items()
    assert 0 <= live["oldest_queued_seconds"] < 30
    assert live["last_minute"] == {"done": 1, "failed": 1, "quarantined": 0, "more": False}
    assert live["last_hour"] == live["last_minute"]
    assert (told["failed"], told["quarantined"]) == (1, 0)
    assert 0 < told["disk"]["free_bytes"] < told["disk"]["total_bytes"]
    (worker,) = told["workers"]
    assert worker["role"] == "annotate"
    assert worker["provider"] == "CPUExecutionProvider"
    assert len(worker["models"]) == 1
    assert told["problems"] == []
    assert {queue["queue"] for queue in told["queues"]} == {
        "annotate.live",
        "render",
        "annotate.batch",
        "train",
    }
