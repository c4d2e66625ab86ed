"""What is told of frames, through the gateway: sent again, corrected, numbered, in every view."""

import csv
import io
import json

import numpy as np
import pytest

from support import detector_files
from support.gateway import npy, picture

GEOMETRY = {
    "distance_m": 1.0,
    "wavelength_m": 1e-10,
    "pixel_size_m": [1e-4, 1e-4],
    "beam_center_yx": [48.0, 64.0],
}
FULL = {
    "scan": "7",
    "sample": "LaB6",
    "motors": json.dumps({"th": 0.5}),
    "geometry": json.dumps(GEOMETRY),
    "extra": json.dumps({"operator": "ada"}),
}
STACK = np.random.default_rng(1).poisson(20, (4, 64, 64)).astype(np.uint32)


def send(service, body: bytes, headers: dict | None = None, **told: object) -> list[str]:
    answer = service.post(body, headers, **told)
    assert answer.status_code in (200, 202), answer.text
    return [item["frame_id"] for item in answer.json()["items"]]


def patch(service, frame_id: str, headers: dict | None = None, query: str = "", **changes):
    address = f"/api/v1/frames/{frame_id}{query}"
    return service.http.patch(address, json=changes, headers=headers or {})


def table(service, **asked: object) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(service.get("frames.csv", **asked).text)))


def test_sending_again_without_metadata_blanks_no_view(service, work):
    (frame_id,) = send(service, picture(1), filename="saxs_0012.npy", **FULL)
    work()

    def views() -> list:
        line = service.get("scans/timeline", scan="7", attributes="ring", against="th").json()
        profile = service.get(f"frames/{frame_id}/profiles/radial", wait=0)
        return [
            service.get(f"frames/{frame_id}").json(),
            service.get("frames", scan="7").json()["items"],
            table(service),
            line,
            service.get("scans").json(),
            profile.status_code,
            service.get(f"frames/{frame_id}/annotation").json()["geometry"],
        ]

    before = views()
    work()
    assert send(service, picture(1)) == [frame_id]
    after = views()
    assert after[:5] == before[:5]
    assert after[6] == before[6] == GEOMETRY
    profile = service.get(f"frames/{frame_id}/profiles/radial").json()
    assert profile["geometry"] == GEOMETRY
    frame = before[0]
    assert (frame["scan"], frame["motors"], frame["frame_number"]) == ("7", {"th": 0.5}, 12)
    assert frame["extra"] == {"operator": "ada"}
    assert before[3]["x"] == [0.5]
    (row,) = before[2]
    assert (row["motors.th"], row["extra.operator"]) == ("0.5", "ada")


def test_a_correction_shows_everywhere_with_its_history(service):
    (frame_id,) = send(service, picture(1), **FULL)
    answer = patch(service, frame_id, sample="CeO2", scan=12, motors={"phi": 1.5}, geometry=None)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["sample"], found["scan"], found["geometry"]) == ("CeO2", "12", None)
    assert found["motors"] == {"th": 0.5, "phi": 1.5}
    (change,) = found["history"]
    assert change["author"] == "test"
    assert change["changes"]["sample"] == ["LaB6", "CeO2"]
    assert service.get("frames", scan=7).json()["items"] == []
    (item,) = service.get("frames", scan=12, sample="ceo").json()["items"]
    assert item["frame_id"] == frame_id
    assert [one["scan"] for one in service.get("scans").json()["items"]] == ["12"]
    assert service.get(f"frames/{frame_id}").json()["history"] is None
    patch(service, frame_id, motors={"th": None}, extra=None)
    again = service.get(f"frames/{frame_id}", history=True).json()
    assert (again["motors"], again["extra"], len(again["history"])) == ({"phi": 1.5}, {}, 2)


def test_a_poni_file_is_a_correction_too(service):
    (frame_id,) = send(service, picture(1))
    poni = (
        "poni_version: 2\nDetector: Detector\n"
        'Detector_config: {"pixel1": 1e-4, "pixel2": 1e-4}\n'
        "Distance: 0.5\nPoni1: 0.0048\nPoni2: 0.0064\nRot1: 0\nRot2: 0\nRot3: 0\n"
        "Wavelength: 1e-10\n"
    )
    found = patch(service, frame_id, poni=poni).json()
    assert found["geometry"]["distance_m"] == 0.5
    refused = patch(service, frame_id, poni="nothing")
    assert (refused.status_code, refused.json()["type"]) == (422, "bad_metadata")


@pytest.mark.parametrize(
    "changes",
    [
        {"scna": "7"},
        {"frame_number": -1},
        {"motors": {"th": "warm"}},
        {"extra": {"a": "x" * 20_000}},
    ],
)
def test_a_correction_that_cannot_be_is_refused_whole(service, changes):
    (frame_id,) = send(service, picture(1), **FULL)
    before = service.get(f"frames/{frame_id}").json()
    assert patch(service, frame_id, sample="CeO2", **changes).status_code == 422
    assert service.get(f"frames/{frame_id}").json() == before


def test_a_correction_names_its_place_where_there_are_several(service):
    for proposal in ("p1", "p2"):
        (frame_id,) = send(service, picture(1), proposal=proposal, scan="7")
    refused = patch(service, frame_id, sample="glass")
    assert (refused.status_code, refused.json()["type"]) == (409, "several_places")
    assert "proposal p1" in refused.json()["detail"]
    assert patch(service, frame_id, query="?proposal=p1", sample="glass").status_code == 200
    samples = [
        service.get(f"frames/{frame_id}", proposal=proposal).json()["sample"]
        for proposal in ("p1", "p2")
    ]
    assert samples == ["glass", None]


def test_a_correction_reaches_only_what_one_sees_and_may_change(service):
    mine = service.new_key(role="scientist", proposal="P1")
    theirs = service.new_key(role="scientist", proposal="P2")
    (frame_id,) = send(service, picture(1), mine, sample="ours")
    assert patch(service, frame_id, theirs, sample="x").status_code == 404
    assert patch(service, frame_id, service.new_key(role="viewer"), sample="x").status_code == 403
    for proposal in ("P2", None):
        refused = patch(service, frame_id, mine, proposal=proposal)
        assert (refused.status_code, refused.json()["type"]) == (403, "other_proposal")
    send(service, picture(1), theirs)
    assert patch(service, frame_id, theirs, sample="theirs").json()["sample"] == "theirs"
    told = service.http.get(f"/api/v1/frames/{frame_id}", headers=mine).json()
    assert (told["sample"], told["places"]) == ("ours", [{"proposal": "P1", "beamline": None}])
    taken = patch(service, frame_id, query="?proposal=P2", proposal="P1")
    assert (taken.status_code, taken.json()["type"]) == (409, "frame_taken")
    whole = service.get(f"frames/{frame_id}", proposal="P1").json()
    assert whole["sample"] == "ours"
    assert [one["proposal"] for one in whole["places"]] == ["P2", "P1"]


def test_frames_are_numbered_by_name_by_header_or_by_their_place(service, work):
    (named,) = send(service, picture(1), filename="scan7_saxs_0012.npy")
    (told,) = send(service, picture(2), filename="scan7_saxs_0013.npy", frame_number=5)
    header = detector_files.edf(np.full((20, 24), 3, np.int32), acq_frame_nb="4")
    (unnamed,) = send(service, header, filename="latest.edf")
    stack = send(service, npy(STACK), filename="stack_0099.npy", scan="s")
    later = send(service, npy(STACK + 1), filename="stack.npy", frame_number=100)
    chosen = send(service, npy(STACK + 2), frames="2:4")
    work()

    def number(frame_id: str) -> int | None:
        return service.get(f"frames/{frame_id}").json()["frame_number"]

    assert [number(one) for one in (named, told, unnamed)] == [12, 5, 4]
    assert [number(one) for one in stack] == [0, 1, 2, 3]
    assert [number(one) for one in later] == [100, 101, 102, 103]
    assert [number(one) for one in chosen] == [2, 3]
    in_order = service.get("frames", scan="s", order="frame_number").json()["items"]
    assert [one["frame_id"] for one in in_order] == stack


def test_each_frame_of_a_stack_has_the_motors_of_its_file(service, work):
    motors = {f"entry/sample/positioners/{name}": np.arange(4) * by for name, by in [("x", 0.5)]}
    body = detector_files.hdf5({"entry/data/data": STACK, **motors})
    ids = send(service, body, filename="s.h5", scan="s", motors=json.dumps({"T": 300}))
    work()
    found = [service.get(f"frames/{one}").json()["motors"] for one in ids]
    assert found == [{"x": 0.5 * at, "T": 300.0} for at in range(4)]
    line = service.get("scans/timeline", scan="s", attributes="ring", against="x").json()
    assert (line["x"], line["frame_ids"]) == ([0.0, 0.5, 1.0, 1.5], ids)
    assert [row["motors.x"] for row in table(service, order="frame_number", scan="s")] == [
        "0.0",
        "0.5",
        "1.0",
        "1.5",
    ]


def test_a_scan_counts_frames_and_belongs_to_its_proposal(service, work):
    for seed in (1, 2):
        send(service, picture(seed), scan="12", proposal="P1", frame_number=seed)
    send(service, picture(1), scan="12", proposal="P1", sample="again")
    send(service, picture(3), scan="12", proposal="P2", frame_number=9)
    work()
    items = service.get("scans").json()["items"]
    assert {(one["proposal"], one["frames"]) for one in items} == {("P1", 2), ("P2", 1)}
    unclear = service.get("scans/timeline", scan="12", attributes="ring")
    assert (unclear.status_code, unclear.json()["type"]) == (422, "ambiguous_scan")
    assert "P1" in unclear.json()["detail"]
    for proposal, numbers in (("P1", [1, 2]), ("P2", [9])):
        asked = {"scan": "12", "attributes": "ring"}
        line = service.get("scans/timeline", **asked, proposal=proposal).json()
        assert (line["x"], line["proposal"]) == (numbers, proposal)
        key = service.new_key(role="viewer", proposal=proposal)
        address = "/api/v1/scans/timeline?scan=12&attributes=ring"
        assert service.http.get(address, headers=key).json()["x"] == numbers
    assert len(service.get("frames", scan="12", proposal="P1").json()["items"]) == 2


def test_a_number_is_a_name_too_and_an_empty_name_means_none(service):
    header = {"X-Scatterlens-Metadata": json.dumps({"scan": 12, "sample": 3, "proposal": 2026})}
    (frame_id,) = send(service, picture(1), header)
    frame = service.get(f"frames/{frame_id}").json()
    assert (frame["scan"], frame["sample"], frame["proposal"]) == ("12", "3", "2026")
    (other,) = send(service, picture(2), scan="12")
    found = service.get("frames", scan=12, proposal="").json()["items"]
    assert [one["frame_id"] for one in found] == [other]
