"""Importers: the same four judgements in every kind of file, and what each refuses."""

import hashlib
import json

import h5py
import numpy as np
import pytest

from scatterlens_models.datasets.errors import (
    DatasetError,
    ForeignLabelError,
    FrameVanishedError,
    RowError,
)
from scatterlens_models.datasets.importing.coco import read_coco
from scatterlens_models.datasets.importing.hdf5 import read_hdf5
from scatterlens_models.datasets.importing.label_studio import read_label_studio
from scatterlens_models.datasets.importing.rows import Origin, consensus
from scatterlens_models.datasets.importing.tables import read_csv, read_json
from scatterlens_models.datasets.importing.tag_files import read_tag_files
from scatterlens_models.datasets.members import blob_path
from scatterlens_models.vocabulary import load_vocabulary


def said(member, vocabulary):
    """Attributes of a member with a known label."""
    return {a: v for a, v in zip(vocabulary.ids, member.labels, strict=True) if v >= 0}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def table(frames, *lines):
    path = frames / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def dump(frames, content):
    path = frames / "labels.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


# Tables


def test_a_table_names_attributes_by_id_or_display_name(frames, aam20):
    path = table(
        frames,
        "file,frame,source,experiment,author,split,weight,ring,Diffuse low-q, halo",
        "a.edf,,beamline,one,ada,train,3,present,absent,unsure",
        "stack.npy,2,beamline,two,ada,,,0,1,",
    )
    first, second = read_csv(path, aam20)
    assert first.frame_id == digest(frames / "a.edf")
    assert first.path == frames / "a.edf"
    assert said(first, aam20) == {"ring": 1, "diffuse_low_q": 0}
    assert (first.source, first.experiment, first.author) == ("beamline", "one", "ada")
    assert (first.split, first.weight) == ("train", 3.0)
    assert second.frame_id == digest(frames / "stack.npy") + ".2"
    assert said(second, aam20) == {"ring": 0, "diffuse_low_q": 1}
    assert (second.split, second.weight) == (None, 1.0)


def test_a_table_may_list_what_is_present_and_absent(frames, aam20):
    path = table(frames, "file,present,absent", "a.edf,Ring; 2-fold symmetry,halo", "b.edf,,ring")
    first, second = read_csv(path, aam20)
    assert said(first, aam20) == {"ring": 1, "symmetry_2": 1, "halo": 0}
    assert said(second, aam20) == {"ring": 0}
    assert first.experiment == second.experiment == "labels"


def test_a_json_file_says_the_same(frames, aam20):
    path = dump(
        frames,
        [
            {"file": "a.edf", "labels": {"ring": "present", "Halo": 0}, "experiment": "one"},
            {"file": "stack.npy", "frame": 1, "present": ["ring"], "absent": ["halo"]},
        ],
    )
    first, second = read_json(path, aam20, origin=Origin("lab", "rest", "eve"))
    assert said(first, aam20) == said(second, aam20) == {"ring": 1, "halo": 0}
    assert (first.experiment, second.experiment) == ("one", "rest")
    assert (second.source, second.author) == ("lab", "eve")
    assert second.index == 1


@pytest.mark.parametrize(
    ("lines", "error", "told"),
    [
        (["file,ringg", "a.edf,1"], ForeignLabelError, "columns of labels.csv: 'ringg'"),
        (["file,ring", "a.edf,1", "b.edf,yes"], ForeignLabelError, "row 3 .*'yes' is no label"),
        (["file,present", "a.edf,rinc"], ForeignLabelError, "row 2 .*'rinc' .*ignore"),
        (["file,ring,absent", "a.edf,1,Ring"], ForeignLabelError, "two things of ring"),
        (["file,ring", "gone.edf,1"], FrameVanishedError, "row 2 .*there is no frame"),
        (["file,ring", "stack.npy,1"], RowError, "is a stack: say which frame .* 0 to 2"),
        (["file,frame,ring", "stack.npy,3,1"], RowError, "0 to 2, not 3"),
        (["file,frame,ring", "a.edf,1,1"], RowError, "holds one image"),
        (["file,frame,ring", "a.edf,x,1"], RowError, "frame is 'x'"),
        (["file,split,ring", "a.edf,dev,1"], RowError, "no split 'dev'"),
        (["file,ring", "labels.csv,1"], RowError, "is no readable frame"),
        (["file,ring", "a.edf,1,1"], RowError, "more or fewer cells"),
        (["ring", "1"], RowError, "names no file"),
        (["file,ring"], RowError, "no labelled frame"),
        (["file,ring", "a.edf,1", "a.edf,0"], RowError, "row 2 .* row 3 .*judged twice"),
        (["file,split,author,ring", "a.edf,train,x,1", "a.edf,test,y,0"], RowError, "splits train"),
    ],
)
def test_a_bad_row_is_refused_by_its_number(frames, aam20, lines, error, told):
    with pytest.raises(error, match=told):
        read_csv(table(frames, *lines), aam20)


def test_a_word_may_be_ignored_on_request(frames, aam20):
    path = table(frames, "file,ring,comment", "a.edf,1,hello")
    (member,) = read_csv(path, aam20, ignored=["Comment"])
    assert said(member, aam20) == {"ring": 1}


def test_authors_who_agree_make_a_label_and_others_make_it_unknown(frames, aam20):
    path = table(
        frames,
        "file,author,ring,halo,spotted,isotropic",
        "a.edf,ada,1,1,1,",
        "a.edf,eve,1,0,unsure,0",
    )
    (member,) = read_csv(path, aam20)
    assert said(member, aam20) == {"ring": 1, "isotropic": 0}
    assert member.author == "ada + eve"


def test_consensus_of_nobody_is_unknown():
    assert consensus([{0: 1, 1: 0}, {0: 1, 1: 1}, {2: -1}], 4) == (1, -1, -1, -1)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"a.edf": 1}, "a list of objects"),
        ([{"file": "a.edf", "lables": {}}], "entry 0 .*it has lables"),
        ([3], "entry 0"),
    ],
)
def test_json_of_another_shape_is_refused(frames, aam20, content, told):
    with pytest.raises(RowError, match=told):
        read_json(dump(frames, content), aam20)


def test_broken_json_is_refused(frames, aam20):
    (frames / "labels.json").write_text("[{")
    with pytest.raises(RowError, match="no JSON"):
        read_json(frames / "labels.json", aam20)


def test_a_table_that_is_no_text_is_refused(frames, aam20):
    (frames / "labels.csv").write_bytes("file,ring,author\na.edf,1,Jörg\n".encode("latin-1"))
    with pytest.raises(RowError, match="no text in UTF-8"):
        read_csv(frames / "labels.csv", aam20)


def test_a_table_of_a_spreadsheet_is_read(frames, aam20):
    text = '\ufefffile,author,ring\r\na.edf,"Jörg\u2028 und Ada",1\r\n'
    (frames / "labels.csv").write_bytes(text.encode())
    (member,) = read_csv(frames / "labels.csv", aam20)
    assert member.author == "Jörg\u2028 und Ada"


# HDF5


def write_hdf5(folder, **content):
    path = folder / "set.h5"
    with h5py.File(path, "w") as file:
        for name, data in content.items():
            file[name] = data
    return path


def test_an_hdf5_file_may_hold_its_frames(frames, aam20):
    counts = np.random.default_rng(1).poisson(5, (2, 40, 50)).astype(np.int32)
    path = write_hdf5(
        frames,
        frames=counts,
        labels=np.array([[1, 0], [-1, 1]], np.int8),
        attributes=["Ring", "halo"],
        experiment=["one", "two"],
    )
    first, second = read_hdf5(path, aam20)
    assert (first.frame_id, second.frame_id) == (digest(path) + ".0", digest(path) + ".1")
    assert said(first, aam20) == {"ring": 1, "halo": 0}
    assert said(second, aam20) == {"halo": 1}
    assert (first.experiment, second.experiment) == ("one", "two")
    assert first.source == "set"


def test_an_hdf5_file_may_name_its_frames(frames, aam20):
    path = write_hdf5(
        frames,
        paths=["a.edf", "stack.npy"],
        frame=[0, 1],
        labels=np.array([[1], [0]], np.int8),
        attributes=["ring"],
    )
    first, second = read_hdf5(path, aam20)
    assert first.frame_id == digest(frames / "a.edf")
    assert second.frame_id == digest(frames / "stack.npy") + ".1"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"paths": ["a.edf"]}, r"labels \(N, A\)"),
        ({"paths": ["a.edf"], "labels": [[1, 0]], "attributes": ["ring"]}, r"labels \(N, A\)"),
        ({"labels": [[1]], "attributes": ["ring"]}, "either frames"),
        ({"paths": ["a.edf", "b.edf"], "labels": [[1]], "attributes": ["ring"]}, "paths has 2"),
        ({"paths": ["a.edf"], "labels": [[3]], "attributes": ["ring"]}, "1, 0 and -1 alone"),
        ({"paths": ["a.edf"], "labels": [[1]], "attributes": ["rinc"]}, "'rinc' is no attribute"),
        ({"frames": np.ones((2, 9)), "labels": [[1]], "attributes": ["ring"]}, "has the shape"),
    ],
)
def test_hdf5_that_does_not_fit_together_is_refused(frames, aam20, content, told):
    with pytest.raises(DatasetError, match=told):
        read_hdf5(write_hdf5(frames, **content), aam20)


def test_a_file_that_is_no_hdf5_is_refused(frames, aam20):
    with pytest.raises(RowError, match="cannot be read as HDF5"):
        read_hdf5(frames / "a.edf", aam20)


# COCO


def coco(**more):
    return {
        "images": [
            {"id": 1, "file_name": "a.edf", "neg_category_ids": [20]},
            {"id": 2, "file_name": "stack.npy", "frame": 0, "judged": ["spotted"]},
        ],
        "categories": [{"id": 10, "name": "Ring"}, {"id": 20, "name": "halo"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 10, "bbox": [1, 2, 3, 4]},
            {"id": 2, "image_id": 2, "category_id": 10, "negative": True},
        ],
        **more,
    }


def test_coco_annotations_are_present_and_negatives_absent(frames, aam20):
    first, second = read_coco(dump(frames, coco()), aam20)
    assert said(first, aam20) == {"ring": 1, "halo": 0}
    assert said(second, aam20) == {"ring": 0, "spotted": 0}
    assert second.index == 0


def test_what_coco_says_was_judged_is_absent_without_annotation(frames, aam20):
    first, second = read_coco(dump(frames, coco(judged=["Textured", "ring"])), aam20)
    assert said(first, aam20) == {"ring": 1, "halo": 0, "textured": 0}
    assert said(second, aam20) == {"ring": 0, "spotted": 0, "textured": 0}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"annotations": [{"image_id": 9, "category_id": 10}]}, "lacks or misplaces 9"),
        ({"annotations": [{"image_id": 1, "category_id": 9}]}, "lacks or misplaces 9"),
        ({"categories": [{"id": 10, "name": "cat"}]}, "categories .*'cat' is no attribute"),
        ({"images": [{"id": 1}]}, "lacks or misplaces"),
        ({"annotations": [{"image_id": 1, "category_id": 20}]}, "halo is said to be present and"),
    ],
)
def test_coco_that_does_not_fit_together_is_refused(frames, aam20, more, told):
    with pytest.raises(DatasetError, match=told):
        read_coco(dump(frames, coco(**more)), aam20)


# Label Studio


def ticked(choices, author=1, name="attributes", **more):
    result = {"type": "choices", "from_name": name, "to_name": "image"}
    result["value"] = {"choices": choices}
    return {"completed_by": author, "was_cancelled": False, "result": [result], **more}


def test_label_studio_ticks_are_present_and_what_else_was_judged_is_absent(frames, aam20):
    tasks = [
        {
            "id": 4,
            "data": {"image": "/data/upload/3/0a1b2c3d-a.edf"},
            "annotations": [ticked(["Ring", "Halo"])],
        },
        {
            "id": 5,
            "data": {"image": "/data/local-files/?d=frames%2Fb.edf", "experiment": "two"},
            "annotations": [ticked(["Ring"]), ticked([], was_cancelled=True)],
        },
    ]
    path = dump(frames, tasks)
    judged = ["ring", "halo", "spotted"]
    first, second = read_label_studio(path, aam20, judged=judged)
    assert first.frame_id == digest(frames / "a.edf")
    assert said(first, aam20) == {"ring": 1, "halo": 1, "spotted": 0}
    assert said(second, aam20) == {"ring": 1, "halo": 0, "spotted": 0}
    assert (first.author, second.experiment) == ("1", "two")
    alone = read_label_studio(path, aam20)
    assert said(alone[1], aam20) == {"ring": 1}


def test_label_studio_controls_say_absent_and_unsure(frames, aam20):
    annotation = ticked(["present"], {"email": "ada@lab"}, "ring")
    annotation["result"] += ticked(["absent"], name="halo")["result"]
    annotation["result"] += ticked(["unsure"], name="spotted")["result"]
    data = {"image": "https://host/pictures/1.png", "file": "stack.npy", "frame": 1}
    path = dump(frames, [{"id": 1, "data": data, "annotations": [annotation]}])
    (member,) = read_label_studio(path, aam20)
    assert member.frame_id == digest(frames / "stack.npy") + ".1"
    assert said(member, aam20) == {"ring": 1, "halo": 0}
    assert member.author == "ada@lab"


def test_label_studio_authors_who_differ_make_a_label_unknown(frames, aam20):
    both = [ticked(["Ring", "Halo"], 1), ticked(["Ring"], 2)]
    path = dump(frames, [{"id": 1, "data": {"image": "a.edf"}, "annotations": both}])
    (member,) = read_label_studio(path, aam20, judged=["ring", "halo"])
    assert said(member, aam20) == {"ring": 1}


def test_label_studio_tasks_of_a_service_name_its_blobs(frames, tmp_path, aam20):
    blobs = tmp_path / "blobs"
    for name in ("a.edf", "stack.npy"):
        place = blob_path(blobs, digest(frames / name))
        place.parent.mkdir(parents=True)
        place.write_bytes((frames / name).read_bytes())
    ids = [digest(frames / "a.edf"), digest(frames / "stack.npy") + ".1"]
    tasks = [
        {
            "id": n,
            "data": {"image": "https://host/1.png", "frame_id": frame_id},
            "annotations": [ticked(["Ring"])],
        }
        for n, frame_id in enumerate(ids)
    ]
    path = dump(frames, tasks)
    members = read_label_studio(path, aam20, blobs=blobs)
    assert [(m.frame_id, m.path) for m in members] == [(frame_id, None) for frame_id in ids]
    tasks[0]["data"]["frame_id"] = "12"
    with pytest.raises(RowError, match=r"task 0 .*'12' is no frame id"):
        read_label_studio(dump(frames, tasks), aam20, blobs=blobs)
    with pytest.raises(FrameVanishedError, match=r"task 0 .*no frame .*1\.png"):
        read_label_studio(path, aam20)


def test_another_export_of_label_studio_is_refused_with_the_remedy(frames, aam20):
    path = dump(frames, [{"id": 1, "image": "a.edf", "attributes": "Ring"}])
    with pytest.raises(RowError, match=r"task 1 .*'data'.*not JSON-MIN"):
        read_label_studio(path, aam20)
    with pytest.raises(RowError, match="no export of tasks"):
        read_label_studio(dump(frames, {"data": 1}), aam20)


# Tag files


def tags(folder, name, *words, experiment="./set/2011Aug09-film/", filename=None):
    grid = "".join(f'<row_tag name="x"><tag id="1">{word}</tag></row_tag>' for word in words)
    (folder / name).write_text(
        f'<?xml version="1.0"?><tag_list filename="{filename or name[:-4]}" type="SAXS"'
        f' path="{experiment}"><primary_category name="x">{grid}</primary_category></tag_list>'
    )


def test_tags_say_what_is_present_and_all_else_they_know_is_absent(frames, aam20):
    tags(frames, "a.tag", "GISAXS", "MarCCD", "Diffuse low-q: Isotropic", "Ring: Oriented z")
    tags(frames, "b.xml", "Halo: Spotted", "Higher orders: 2-3", experiment="")
    first, second = read_tag_files(frames, aam20)
    assert first.frame_id == digest(frames / "a.edf")
    assert first.experiment == "2011Aug09-film"
    assert second.experiment == "frames"
    present = {a for a, value in said(first, aam20).items() if value}
    assert present == {"diffuse_low_q", "ring", "isotropic", "anisotropic"}
    assert {a for a, v in said(second, aam20).items() if v} == {"halo", "higher_orders"}
    # Orientation and width have no tags: nobody judged them.
    assert len(said(first, aam20)) == 14


def test_tags_speak_in_every_vocabulary(frames):
    tags(frames, "a.tag", "Ring: Spotted", "AgBH", "Linear beamstop")
    for name, expected in {
        "experimental20": {"ring", "ring_spotted"},
        "full": {"ring", "spotted", "agbh", "beamstop_linear"},
    }.items():
        vocabulary = load_vocabulary(name)
        (member,) = read_tag_files(frames, vocabulary)
        assert {a for a, v in said(member, vocabulary).items() if v} == expected


def test_the_frame_of_a_tag_file_is_looked_for_in_its_experiment(frames, tmp_path, aam20):
    notes = tmp_path / "notes"
    notes.mkdir()
    tags(notes, "a.tag", "AgBH")
    (frames / "2011Aug09-film").mkdir()
    (frames / "2011Aug09-film" / "a.edf").write_bytes((frames / "b.edf").read_bytes())
    (member,) = read_tag_files(notes, aam20, frames)
    assert member.frame_id == digest(frames / "b.edf")


def test_tag_files_that_cannot_be_used_are_refused_by_name(frames, tmp_path, aam20):
    notes = tmp_path / "notes"
    notes.mkdir()
    with pytest.raises(RowError, match="it has none"):
        read_tag_files(notes, aam20)
    tags(notes, "a.tag", "Rng: Isotropic")
    with pytest.raises(ForeignLabelError, match=r"a\.tag: no rule knows the tag 'rng: isotropic'"):
        read_tag_files(notes, aam20, frames)
    (member,) = read_tag_files(notes, aam20, frames, ignored=["Rng: isotropic"])
    assert member.labels.count(1) == 0
    tags(notes, "a.tag", "Ring: Isotropic")
    tags(notes, "z.tag", "AgBH")
    with pytest.raises(FrameVanishedError, match=r"z\.tag: there is no frame z"):
        read_tag_files(notes, aam20, frames)
    (notes / "z.tag").write_text("<tag_list>")
    with pytest.raises(RowError, match=r"z\.tag is no XML"):
        read_tag_files(notes, aam20, frames)
    (notes / "z.tag").write_text("<other/>")
    with pytest.raises(RowError, match="not a tag_list"):
        read_tag_files(notes, aam20, frames)
    (notes / "z.tag").unlink()
    (frames / "a.cbf").write_bytes(b"")
    with pytest.raises(RowError, match=r"may speak of a\.cbf, a\.edf"):
        read_tag_files(notes, aam20, frames)
