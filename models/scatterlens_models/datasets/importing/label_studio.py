"""Labels from the JSON export of Label Studio: choices for each image.

Two kinds of labelling page are understood. A list of attributes to tick says what is present;
`judged` names those that were offered, of which the unticked are absent. A control for each
attribute, named by its id, with the choices present, absent and unsure, says all three. Every
annotation that was not cancelled is one author's; authors who differ make a label unknown.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

from scatterlens_models.datasets.errors import RowError
from scatterlens_models.datasets.importing.rows import Origin, Row, members_of, origin_of
from scatterlens_models.datasets.importing.tables import load_json, row
from scatterlens_models.datasets.importing.words import VALUES, Words
from scatterlens_models.datasets.members import FrameMember
from scatterlens_models.vocabulary import Vocabulary

_FRAME_ID = re.compile(r"[0-9a-f]{64}(\.\d+)?")
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What an upload puts before the name of a file."""


def read_label_studio(
    path: Path,
    vocabulary: Vocabulary,
    frames: Path | None = None,
    origin: Origin | None = None,
    ignored: Collection[str] = (),
    judged: Collection[str] = (),
    blobs: Path | None = None,
) -> list[FrameMember]:
    """Read an export (JSON, not JSON-MIN).

    Since the tool shows pictures, the frame itself is looked for by the field `file` of a task's
    data, else among the blobs by its field `frame_id`, else by the name in its field `image`.

    Args:
        path: the export.
        vocabulary: which attributes exist.
        frames: folder of the frames; that of the export where None.
        origin: what the tasks leave unsaid.
        ignored: choices that are no attributes.
        judged: attributes that were offered to be ticked; all others are unknown unless ticked.
        blobs: folder of the blobs of the service that the tasks come from.

    Raises:
        DatasetError: a task cannot become a member; the message names it.
    """
    tasks = load_json(path)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise RowError(f"{path} is no export of tasks: choose JSON in the export of Label Studio")
    words = Words(vocabulary, ignored)
    offered = words.attributes(judged, "the attributes that were judged")
    folder, origin = frames or path.parent, origin or origin_of(path)

    rows: list[Row] = []
    for task in tasks:
        place = f"task {task.get('id')} of {path.name}"
        try:
            kept = blobs if blobs and _is_kept(task["data"], place) else None
            rows += _rows(task, place, words, offered, folder, kept, origin)
        except (AttributeError, KeyError, TypeError) as error:
            raise RowError(
                f"{place} lacks or misplaces {error}: choose JSON, not JSON-MIN, in the export"
            ) from error
    return members_of(rows, vocabulary)


def _rows(
    task: dict[str, Any],
    place: str,
    words: Words,
    offered: list[int],
    folder: Path,
    blobs: Path | None,
    origin: Origin,
) -> Iterator[Row]:
    """Rows of a task, one an author; with `blobs`, its frame is one of them."""
    data = task["data"]
    if blobs:
        sha256, _, index = data["frame_id"].partition(".")
        said = {**data, "file": f"{sha256[:2]}/{sha256}", "frame": index}
    else:
        said = {**data, "file": data.get("file") or _find(data["image"], folder)}
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled"):
            continue
        author = annotation.get("completed_by")
        author = author.get("email") or author.get("id") if isinstance(author, dict) else author
        author = origin.author if author is None else str(author)
        judged = _judged(annotation["result"], place, words, offered)
        said["author"] = data.get("author") or author
        made = row(said, place, judged, blobs or folder, origin)
        yield replace(made, blob=blobs is not None)


def _is_kept(data: dict[str, Any], place: str) -> bool:
    """Whether a task's frame is a blob of a service; a field `file` comes before that."""
    frame_id = data.get("frame_id")
    if data.get("file") or frame_id is None:
        return False
    if not _FRAME_ID.fullmatch(str(frame_id)):
        raise RowError(f"{place}: {frame_id!r} is no frame id, a sha256 with or without index")
    return True


def _judged(
    results: list[dict[str, Any]], place: str, words: Words, offered: list[int]
) -> dict[int, int]:
    judged: dict[int, int] = {}
    for result in results:
        if result["type"] != "choices":
            continue
        choices = result["value"]["choices"]
        if len(choices) == 1 and choices[0].lower() in VALUES:
            judged |= words.judgements({result["from_name"]: choices[0]}, place)
        else:
            judged |= dict.fromkeys(words.attributes(choices, place), 1)
    return dict.fromkeys(offered, 0) | judged


def _find(image: str, frames: Path) -> str:
    """File name behind the address of a task's image, without what an upload puts before it."""
    address = urlparse(image)
    local = parse_qs(address.query).get("d")
    name = PurePosixPath(local[0] if local else unquote(address.path)).name
    return name if (frames / name).exists() else _UPLOADED.sub("", name)
