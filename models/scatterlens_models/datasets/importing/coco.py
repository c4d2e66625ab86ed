"""Labels in the shape of COCO: images, categories that are attributes, annotations that join them.

An annotation says that its category is present, or absent where it has `"negative": true`. What
else is known to be absent stands, as in LVIS, in `neg_category_ids` of an image; or `judged`, a
list of names in an image or beside `images`, says which attributes were looked for: those without
an annotation are absent. All others are unknown. Boxes and outlines are not used.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from scatterlens_models.datasets.errors import ForeignLabelError, RowError
from scatterlens_models.datasets.importing.rows import Origin, Row, members_of, origin_of
from scatterlens_models.datasets.importing.tables import load_json, row
from scatterlens_models.datasets.importing.words import Words
from scatterlens_models.datasets.members import FrameMember
from scatterlens_models.vocabulary import Vocabulary


def read_coco(
    path: Path,
    vocabulary: Vocabulary,
    frames: Path | None = None,
    origin: Origin | None = None,
    ignored: Collection[str] = (),
) -> list[FrameMember]:
    """Read such a file; its `file_name` are taken from the folder `frames`.

    Raises:
        DatasetError: an image cannot become a member; the message names it.
    """
    content, words = load_json(path), Words(vocabulary, ignored)
    try:
        rows = _rows(content, path.name, words, frames or path.parent, origin or origin_of(path))
    except (AttributeError, KeyError, TypeError) as error:
        raise RowError(
            f"{path} lacks or misplaces {error}: it is to hold images (id, file_name), categories"
            " (id, name) and annotations (image_id, category_id) that fit together"
        ) from error
    return members_of(rows, vocabulary)


def _rows(
    content: dict[str, Any], name: str, words: Words, frames: Path, origin: Origin
) -> list[Row]:
    place = f"categories of {name}"
    at = {entry["id"]: words.attribute(entry["name"], place) for entry in content["categories"]}
    said: dict[Any, dict[int, int]] = {image["id"]: {} for image in content["images"]}
    for entry in content["annotations"]:
        place = f"annotation {entry.get('id')} of {name}"
        present = int(not entry.get("negative"))
        _put(said[entry["image_id"]], at[entry["category_id"]], present, place, words)
    rows = []
    for image in content["images"]:
        place, judged = f"image {image['id']} of {name}", said[image["id"]]
        for key in image.get("neg_category_ids", ()):
            _put(judged, at[key], 0, place, words)
        looked_for = [*content.get("judged", ()), *image.get("judged", ())]
        judged = dict.fromkeys(words.attributes(looked_for, place), 0) | judged
        rows.append(row({**image, "file": image["file_name"]}, place, judged, frames, origin))
    return rows


def _put(judged: dict[int, int], index: int | None, value: int, place: str, words: Words) -> None:
    if index is not None and judged.setdefault(index, value) != value:
        raise ForeignLabelError(
            f"{place}: {words.vocabulary.ids[index]} is said to be present and absent: keep one"
        )
