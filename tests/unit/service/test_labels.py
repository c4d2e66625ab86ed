"""Labels through the API: saying, reading, reviewing, exporting, and who may."""

import json

import pytest

from support.bundles import make_bundle
from support.gateway import picture

SHOWN = {"model": "linear@0123456789ab", "probabilities": {"ring": 0.25}}


def send(service, seed: int = 1, headers: dict[str, str] | None = None, **params: object) -> str:
    return service.post(picture(seed), headers, **params).json()["items"][0]["frame_id"]


@pytest.fixture
def frame_id(service, work) -> str:
    """An annotated frame of 96 x 128."""
    frame_id = send(service)
    work()
    return frame_id


@pytest.fixture
def ada(service) -> dict[str, str]:
    return service.new_key(name="ada", role="annotator")


@pytest.fixture
def bo(service) -> dict[str, str]:
    return service.new_key(name="bo", role="annotator")


def put(service, frame_id: str, key: dict[str, str], labels: dict, shown=None, **headers: str):
    labels = {
        name: said if isinstance(said, dict) else {"value": said} for name, said in labels.items()
    }
    return service.http.put(
        f"/api/v1/frames/{frame_id}/labels",
        json={"labels": labels, **({} if shown is None else {"shown": shown})},
        headers={**key, **headers},
    )


def read(service, frame_id: str, **params: object) -> dict:
    response = service.get(f"frames/{frame_id}/labels", **params)
    assert response.status_code == 200, response.text
    return response.json()


def assert_refused(response, status: int, type_: str) -> dict:
    assert (response.status_code, response.json()["type"]) == (status, type_), response.text
    assert response.json()["remedy"]
    return response.json()


def test_a_label_is_told_with_its_author_its_region_and_what_was_shown(service, frame_id, ada):
    region = [[3, 4], [10.5, 4], [10.5, 20]]
    said = {"ring": {"value": "present", "region": region, "note": "faint"}}
    response = put(service, frame_id, ada, said, SHOWN)
    assert response.status_code == 200
    answer = response.json()
    assert answer == {**read(service, frame_id), "history": None}
    (label,) = answer["labels"]
    assert {name: label[name] for name in ("attribute", "value", "author", "note")} == {
        "attribute": "ring",
        "value": "present",
        "author": "ada",
        "note": "faint",
    }
    assert label["region"] == region
    assert label["shown"] == SHOWN
    assert label["time"].endswith("Z")


def test_people_who_differ_are_counted_and_a_majority_decides(service, frame_id, ada, bo):
    cy = service.new_key(name="cy", role="scientist")
    put(service, frame_id, ada, {"ring": "present", "halo": "present", "spotted": "unsure"})
    put(service, frame_id, bo, {"ring": "present", "halo": "absent", "spotted": "absent"})
    put(service, frame_id, cy, {"ring": "present", "isotropic": "unsure", "textured": "present"})
    put(service, frame_id, ada, {"textured": "absent"})
    put(service, frame_id, bo, {"textured": "present"})
    found = {
        one["attribute"]: (one["value"], one["present"], one["absent"], one["unsure"], one["agree"])
        for one in read(service, frame_id)["consensus"]
    }
    assert found == {
        "ring": ("present", 3, 0, 0, True),
        "halo": ("unsure", 1, 1, 0, False),
        "spotted": ("absent", 0, 1, 1, False),
        "isotropic": ("unsure", 0, 0, 1, True),
        "textured": ("present", 2, 1, 0, False),
    }


def test_null_withdraws_and_the_history_keeps_all(service, frame_id, ada):
    put(service, frame_id, ada, {"ring": "present"}, SHOWN)
    put(service, frame_id, ada, {"ring": "absent"})
    answer = put(service, frame_id, ada, {"ring": None}).json()
    assert answer["labels"] == answer["consensus"] == []
    history = read(service, frame_id, history=True)["history"]
    assert [one["value"] for one in history] == ["present", "absent", None]
    assert [one["shown"] for one in history] == [SHOWN, None, None]
    assert sorted(one["time"] for one in history) == [one["time"] for one in history]


def test_the_same_request_again_changes_nothing(service, frame_id, ada):
    first = put(service, frame_id, ada, {"ring": "present"}, SHOWN)
    events = service.kept()["events"]
    again = put(service, frame_id, ada, {"ring": "present"}, SHOWN)
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert len(read(service, frame_id, history=True)["history"]) == 1
    assert service.kept()["events"] == events


def test_what_changed_since_it_was_read_is_not_overwritten(service, frame_id, ada, bo):
    path = f"/api/v1/frames/{frame_id}/labels"
    etag = service.http.get(path).headers["etag"]
    assert service.http.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert put(service, frame_id, bo, {"ring": "absent"}, **{"If-Match": etag}).status_code == 200
    refused = put(service, frame_id, ada, {"ring": "present"}, **{"If-Match": etag})
    problem = assert_refused(refused, 412, "labels_changed")
    assert "If-Match" in problem["remedy"]
    assert [one["author"] for one in read(service, frame_id)["labels"]] == ["bo"]
    current = service.http.get(path, headers={"If-None-Match": etag})
    assert current.status_code == 200
    for held in (current.headers["etag"], "*"):
        response = put(service, frame_id, ada, {"ring": "present"}, **{"If-Match": held})
        assert response.status_code == 200


def test_an_attribute_that_no_active_model_knows_is_refused(service, frame_id, ada):
    refused = put(service, frame_id, ada, {"ring": "present", "rings": "present"})
    problem = assert_refused(refused, 422, "unknown_attribute")
    assert "rings" in problem["detail"]
    assert "ring" in problem["known"]
    assert len(problem["known"]) == 20
    assert read(service, frame_id)["labels"] == []


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"ring": "maybe"},
        {"ring": {}},
        {"ring": {"value": "present", "why": "so"}},
        {"ring": {"value": "present", "region": [[1, 2]]}},
        {"ring": {"value": "present", "region": [[1, 2, 3], [4, 5, 6]]}},
        {"ring": {"value": None, "region": [[1, 2], [3, 4]]}},
        {"ring": {"value": "present", "note": "a\x00b"}},
        {"ring": {"value": "present", "note": "x" * 2001}},
        {"Ring": "present"},
    ],
)
def test_what_is_no_label_is_refused(service, frame_id, ada, said):
    assert_refused(put(service, frame_id, ada, said), 422, "invalid_request")
    assert read(service, frame_id)["labels"] == []


@pytest.mark.parametrize(
    "shown",
    [{"model": "linear"}, {"model": "a@b@0123456789ab"}, {**SHOWN, "probabilities": {"ring": 2}}],
)
def test_what_cannot_have_been_shown_is_refused(service, frame_id, ada, shown):
    refused = put(service, frame_id, ada, {"ring": "present"}, shown)
    assert_refused(refused, 422, "invalid_request")


def test_a_region_lies_on_the_frame(service, frame_id, ada):
    for corner in ([95.6, 3], [3, 127.6], [-0.6, 3]):
        said = {"ring": {"value": "present", "region": [[0, 0], corner]}}
        problem = assert_refused(put(service, frame_id, ada, said), 422, "region_outside")
        assert "96 x 128" in problem["detail"]
    said = {"ring": {"value": "present", "region": [[-0.5, -0.5], [95.5, 127.5]]}}
    assert put(service, frame_id, ada, said).status_code == 200


def test_a_viewer_reads_labels_and_gives_none(service, frame_id, ada):
    viewer = service.new_key(role="viewer")
    put(service, frame_id, ada, {"ring": "present"})
    assert_refused(put(service, frame_id, viewer, {"ring": "absent"}), 403, "missing_scope")
    response = service.http.get(f"/api/v1/frames/{frame_id}/labels", headers=viewer)
    assert [one["author"] for one in response.json()["labels"]] == ["ada"]


def test_a_frame_that_one_may_not_see_has_no_labels_and_stands_in_no_queue(service, work):
    mine = service.new_key(name="mine", role="scientist", proposal="P1")
    theirs = service.new_key(name="theirs", role="scientist", proposal="P2")
    frame_id = send(service, 1, mine)
    work()
    assert_refused(put(service, frame_id, theirs, {"ring": "present"}), 404, "unknown_frame")
    assert put(service, frame_id, mine, {"ring": "present"}).status_code == 200
    for path in (f"frames/{frame_id}/labels", f"frames/{'0' * 64}/labels"):
        hidden = service.http.get(f"/api/v1/{path}", headers=theirs)
        assert_refused(hidden, 404, "unknown_frame")
    exported = service.http.get("/api/v1/labels.ndjson", headers=theirs)
    assert exported.text == ""
    for by in ("uncertain", "novel", "model_vs_human", "disagreement"):
        page = service.http.get("/api/v1/review", params={"by": by}, headers=theirs)
        assert page.json() == {"items": [], "next_cursor": None}


def test_labelled_frames_are_found(service, frame_id, ada):
    other = send(service, 2)
    put(service, frame_id, ada, {"ring": "unsure"})

    def found(**params: object) -> list[str]:
        return [one["frame_id"] for one in service.get("frames", **params).json()["items"]]

    assert found(labelled=True) == [frame_id]
    assert found(labelled=False) == [other]


def test_keys_of_one_name_are_two_persons_unless_one_continues_the_other(service, frame_id, ada):
    put(service, frame_id, ada, {"ring": "present"})
    namesake = service.new_key(name="ada", role="annotator")
    put(service, frame_id, namesake, {"ring": "absent"})
    said = read(service, frame_id)["labels"]
    assert [(one["author"], one["value"]) for one in said] == [
        ("ada", "present"),
        ("ada", "absent"),
    ]
    key_id = ada["Authorization"].split("_")[1]
    wanted = {"name": "ada (new key)", "role": "annotator", "continues": key_id}
    made = service.http.post("/api/v1/keys", json=wanted).json()
    assert made["person"] == key_id
    put(service, frame_id, {"Authorization": f"Bearer {made['key']}"}, {"ring": "unsure"})
    said = read(service, frame_id)["labels"]
    assert {one["person"]: one["value"] for one in said} == {
        key_id: "unsure",
        namesake["Authorization"].split("_")[1]: "absent",
    }
    nobody = service.http.post("/api/v1/keys", json={**wanted, "continues": "0" * 12})
    assert_refused(nobody, 422, "bad_key")


def test_labels_stay_within_the_proposal_for_which_a_frame_was_sent(service, frame_id):
    keys = [service.new_key(role="scientist", proposal=name, name=name) for name in ("P1", "P2")]
    for key in keys:
        assert service.post(picture(1), key).status_code in (200, 202)
    put(service, frame_id, keys[0], {"ring": {"value": "present", "note": "ours"}})
    mine, theirs = (
        service.http.get(f"/api/v1/frames/{frame_id}/labels?history=true", headers=key).json()
        for key in keys
    )
    assert [one["note"] for one in mine["history"]] == ["ours"]
    assert (theirs["labels"], theirs["consensus"], theirs["history"]) == ([], [], [])
    seen = service.http.get("/api/v1/frames?labelled=true", headers=keys[1]).json()["items"]
    assert seen == []


def test_the_export_names_frame_and_submission(service, frame_id, ada, bo):
    send(service, 1, scan="7", proposal="P1", sample="LaB6", beamline="i22")
    put(service, frame_id, ada, {"ring": {"value": "present", "note": "yes"}}, SHOWN)
    put(service, frame_id, bo, {"ring": "absent"})
    response = service.get("labels.ndjson")
    assert response.headers["content-type"] == "application/x-ndjson"
    first, second = [json.loads(line) for line in response.text.splitlines()]
    assert (second["author"], second["value"]) == ("bo", "absent")
    time, person = first.pop("time"), first.pop("person")
    assert person not in (second["person"], "ada")
    assert first == {
        "frame_id": frame_id,
        "sha256": frame_id,
        "index": None,
        "attribute": "ring",
        "value": "present",
        "author": "ada",
        "region": None,
        "note": "yes",
        "shown": SHOWN,
        "proposal": "P1",
        "beamline": "i22",
        "scan": "7",
        "sample": "LaB6",
    }
    assert len(service.get("labels.ndjson", since=time).text.splitlines()) == 2
    since = service.get("labels.ndjson", since=second["time"]).text.splitlines()
    assert json.loads(since[-1])["author"] == "bo"
    put(service, frame_id, ada, {"ring": None})
    assert len(service.get("labels.ndjson").text.splitlines()) == 1
    assert service.get("labels.ndjson", since="2999-01-01").text == ""
    assert_refused(service.get("labels.ndjson", since="yesterday"), 422, "invalid_request")


# --- review


def test_the_queue_of_uncertain_frames_is_that_of_their_annotations(service, work, ada):
    ids = [send(service, seed) for seed in range(5)]
    work()
    expected = {}
    for frame_id in ids:
        for one in service.get(f"frames/{frame_id}/annotation").json()["attributes"]:
            p, t = one["probability"], one["threshold"]
            expected[frame_id, one["id"]] = (1 - p) / (1 - t) if p >= t else p / t
    ranked = sorted(
        ((expected[one, "ring"], one) for one in ids), key=lambda pair: (-pair[0], pair[1])
    )

    items, cursor = [], None
    while True:
        params = {"by": "uncertain", "attribute": "ring", "limit": 2}
        page = service.get("review", **params, **({"cursor": cursor} if cursor else {})).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [one["frame"]["frame_id"] for one in items] == [frame_id for _, frame_id in ranked]
    assert [one["figure"] for one in items] == pytest.approx([figure for figure, _ in ranked])
    assert {one["attribute"] for one in items} == {"ring"}

    put(service, ranked[0][1], ada, {"ring": "present"})
    left = service.http.get("/api/v1/review", params={"attribute": "ring"}, headers=ada).json()
    assert [one["frame"]["frame_id"] for one in left["items"]] == [one for _, one in ranked[1:]]
    every = service.get("review").json()["items"]
    for one in every:
        frame_id = one["frame"]["frame_id"]
        greatest = max(value for (frame, _), value in expected.items() if frame == frame_id)
        assert one["figure"] == pytest.approx(greatest)
        assert expected[frame_id, one["attribute"]] == one["figure"]
    assert len(every) == 5


def test_a_tag_that_a_person_denies_stands_in_the_queue_of_contradictions(service, frame_id, ada):
    attributes = service.get(f"frames/{frame_id}/annotation").json()["attributes"]
    tagged = next(one for one in attributes if one["tag"])
    put(service, frame_id, ada, {tagged["id"]: "present"})
    assert service.get("review", by="model_vs_human").json()["items"] == []
    put(service, frame_id, ada, {tagged["id"]: "absent"})
    (item,) = service.get("review", by="model_vs_human").json()["items"]
    assert (item["attribute"], item["figure"]) == (tagged["id"], tagged["probability"])
    assert item["frame"] == service.get("frames").json()["items"][0]


def test_the_queue_of_disagreement_has_the_spread_that_the_annotations_have(
    make_settings, open_service
):
    from scatterlens_worker.drain import drain
    from scatterlens_worker.runtime import Runtime

    make_bundle(make_settings().bundle_folder, "other", seed=1, vocabulary_name="experimental20")
    service = open_service(active_models=("linear", "other"))
    frame_id = send(service)
    with Runtime(service.settings) as runtime:
        while drain(runtime):
            pass
    agreement = service.get(f"frames/{frame_id}/annotations").json()["agreement"]
    spread = {one["id"]: one["spread"] for one in agreement if one["models"] > 1}
    (item,) = service.get("review", by="disagreement").json()["items"]
    assert item["attribute"] == max(spread, key=lambda name: spread[name])
    assert item["figure"] == pytest.approx(max(spread.values()))
    (item,) = service.get("review", by="disagreement", attribute="ring").json()["items"]
    assert item["figure"] == pytest.approx(spread["ring"])
    # Only the other model knows it; it may be asked for and nobody differs over it.
    found = service.get("review", by="disagreement", attribute="polycrystalline")
    assert found.json()["items"] == []


def test_progress_counts_the_frames_of_a_queue_and_those_that_one_judged(
    service, frame_id, work, ada, bo
):
    send(service, 2, proposal="p1")
    work()

    def progress(key, **params):
        response = service.http.get("/api/v1/review/progress", params=params, headers=key)
        assert response.status_code == 200, response.text
        return response.json()

    for by in ("uncertain", "novel"):
        assert progress(ada, by=by) == {"judged": 0, "frames": 2, "more": False}
    put(service, frame_id, ada, {"ring": "present", "halo": "absent"})
    put(service, frame_id, ada, {"ring": "absent"})
    assert progress(ada) == {"judged": 1, "frames": 2, "more": False}
    assert progress(ada, attribute="halo")["judged"] == 1
    assert progress(ada, attribute="spotted")["judged"] == 0
    assert progress(bo)["judged"] == 0
    put(service, frame_id, ada, {"ring": None, "halo": None})
    assert progress(ada)["judged"] == 0
    bound = service.new_key(name="cy", role="annotator", proposal="p1")
    assert progress(bound)["frames"] == 1
    # One model has nobody to differ from, and what nobody judged contradicts nobody.
    assert progress(ada, by="disagreement")["frames"] == 0
    assert progress(ada, by="model_vs_human") == {"judged": None, "frames": 0, "more": False}
    attributes = service.get(f"frames/{frame_id}/annotation").json()["attributes"]
    tagged = next(one["id"] for one in attributes if one["tag"])
    put(service, frame_id, ada, {tagged: "absent"})
    assert progress(bo, by="model_vs_human")["frames"] == 1
    refused = service.get("review/progress", attribute="rings")
    assert_refused(refused, 422, "unknown_attribute")


def test_a_review_that_cannot_be_is_refused(service, frame_id, subtests):
    for params, type_ in [
        ({"by": "novelty"}, "invalid_request"),
        ({"attribute": "rings"}, "unknown_attribute"),
        ({"limit": 0}, "invalid_request"),
        ({"cursor": "nonsense"}, "bad_cursor"),
        ({"cursor": "!!"}, "bad_cursor"),
    ]:
        with subtests.test(params=params):
            assert_refused(service.get("review", **params), 422, type_)
    send(service, 2)
    page = service.get("frames", limit=1).json()
    refused = service.get("review", cursor=page["next_cursor"])
    assert_refused(refused, 422, "bad_cursor")
