"""Exports: what the importer of the same kind reads again is the same dataset."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scatterlens_models.datasets.errors import DatasetError, FrameVanishedError
from scatterlens_models.datasets.exporting import KINDS, export
from scatterlens_models.datasets.importing.coco import read_coco
from scatterlens_models.datasets.importing.hdf5 import read_hdf5
from scatterlens_models.datasets.importing.label_studio import read_label_studio
from scatterlens_models.datasets.importing.tables import read_csv, read_json
from scatterlens_models.datasets.manifest import read_manifest, write_manifest
from scatterlens_models.datasets.members import RecipeMember

READERS = {
    "csv": read_csv,
    "json": read_json,
    "hdf5": read_hdf5,
    "label-studio": read_label_studio,
    "coco": read_coco,
}


@pytest.fixture
def manifest(frames, aam20, tmp_path):
    """Files, frames of a stack, unknowns, a weight, and a recipe."""
    (frames / "labels.csv").write_text(
        "file,frame,source,experiment,author,split,weight,ring,halo,symmetry_6\n"
        "a.edf,,beamline,one,ada + eve,train,4,1,0,\n"
        "stack.npy,0,beamline,one,ada,train,,0,,unsure\n"
        "stack.npy,2,beamline,one,ada,train,,1,1,1\n"
        "b.edf,,laboratory,ünï,eve,test,,0,0,0\n"
        "c.edf,,third,two,eve,,,1,,\n"
    )
    members = [*read_csv(frames / "labels.csv", aam20), RecipeMember("paper", 1, 0, 9, "train")]
    return write_manifest(tmp_path / "d.jsonl", aam20, members)


def test_every_kind_has_a_reader():
    assert KINDS.keys() == READERS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_read_again(manifest, aam20, tmp_path, kind):
    out = tmp_path / "elsewhere" / "file"
    assert export(manifest, kind, out) == 5
    again = READERS[kind](out, aam20)
    expected = manifest.frames
    if kind not in ("csv", "json"):
        expected = [replace(frame, weight=1.0) for frame in expected]
    # Read from another folder, the paths are other words for the same files.
    assert [replace(m, path=m.path.resolve()) for m in again] == expected


def test_an_export_holds_names_that_others_understand(manifest, tmp_path):
    export(manifest, "coco", tmp_path / "coco.json")
    content = json.loads((tmp_path / "coco.json").read_text(encoding="utf-8"))
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    present = {(a["image_id"], names[a["category_id"]]) for a in content["annotations"]}
    assert present == {(1, "ring"), (3, "ring"), (3, "halo"), (3, "symmetry_6"), (5, "ring")}
    assert content["images"][0]["file_name"] == "frames/a.edf"


def test_blobs_are_exported_with_their_paths(manifest, aam20, tmp_path, frames):
    frame = replace(manifest.frames[0], path=None)
    alone = write_manifest(tmp_path / "b.jsonl", aam20, [frame])
    with pytest.raises(FrameVanishedError, match="name the folder of blobs"):
        export(alone, "csv", tmp_path / "b.csv")
    place = tmp_path / "blobs" / frame.sha256[:2] / frame.sha256
    place.parent.mkdir(parents=True)
    place.write_bytes((frames / "a.edf").read_bytes())
    export(alone, "csv", tmp_path / "b.csv", tmp_path / "blobs")
    (again,) = read_csv(tmp_path / "b.csv", aam20)
    assert (again.path, again.labels) == (place, frame.labels)


def test_what_cannot_be_exported_is_refused(manifest, aam20, tmp_path):
    with pytest.raises(DatasetError, match="there are csv, json, hdf5, label-studio, coco"):
        export(manifest, "xml", tmp_path / "x")
    recipes = write_manifest(tmp_path / "r.jsonl", aam20, manifest.recipes)
    with pytest.raises(DatasetError, match="recipes alone"):
        export(recipes, "csv", tmp_path / "x")
    Path(manifest.frames[3].path).unlink()
    with pytest.raises(FrameVanishedError, match=r"b\.edf is gone"):
        export(read_manifest(tmp_path / "d.jsonl"), "csv", tmp_path / "x")
    assert not (tmp_path / "x").exists()
