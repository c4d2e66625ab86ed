"""A ledger as a beamline leaves it after years: hundreds of thousands of annotated frames.

    python -m support.many_frames postgresql://... 1000000 [model version]

Frames come in scans of like frames, so that what is rare is rare in few places, as in life.
"""

import io
import json
import struct
import sys
from collections.abc import Iterator

import numpy as np
from sqlalchemy import Engine, text

from scatterlens_models.vocabulary import load_vocabulary
from scatterlens_service import ledger
from scatterlens_service.ledger.tables import Score
from scatterlens_service.migrations import migrate_engine

VERSION = "feedfacecafe"
IDS = load_vocabulary("aam20").ids
THRESHOLD = 0.5
FIRST_TIME = 1_700_000_000.0
PROPOSALS = 40
_PORTION = 5_000
_SHARES = np.geomspace(0.6, 0.0005, len(IDS))
"""How many frames show each attribute: from most of them to one of two thousand."""
_TABLES = {
    "frames": "id sha256 index format size_bytes created height width header geometry detector",
    "submissions": "id fingerprint frame_id filename proposal beamline scan sample frame_number"
    " technique details key_id time",
    "jobs": "id kind key queue frame_id model_name model_version state attempt lost_leases crashes"
    " queued finished",
    "annotations": "id frame_id model_name model_version time novelty mask_fraction timings_ms"
    " provider blob",
    "scores": "annotation_id attribute position probability threshold tag uncertainty",
    "findings": "model_version submission_id annotation_id novelty uncertainty probabilities",
}


def seed(engine: Engine, frames: int, scan_length: int = 2_000, version: str = VERSION) -> None:
    """Fill an empty, migrated ledger; the same numbers give the same ledger.

    The n-th frame, counted from 1, has the id n, in 64 digits of base 16.
    """
    random = np.random.default_rng(7)
    scans = -(-frames // scan_length)
    # A scan shows an attribute in most of its frames or in hardly any.
    shown = random.random((scans, len(IDS))) < _SHARES
    later = [index for index in Score.__table__.indexes if frames > _PORTION]
    for index in later:
        index.drop(engine)
    for start in range(1, frames + 1, _PORTION):
        numbers = np.arange(start, min(start + _PORTION, frames + 1))
        of_scan = (numbers - 1) // scan_length
        likely = np.where(shown[of_scan], 1.5, -3.5)
        logits = likely + random.normal(0, 1.6, (len(numbers), len(IDS)))
        probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
        novelty = random.random(len(numbers)) ** 2
        _write(engine, _rows(numbers, of_scan, scan_length, probabilities, novelty, version))
    for index in later:
        index.create(engine)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO scans (proposal, beamline, scan, frames, first, last, newest)"
                " SELECT proposal, beamline, scan, count(*), min(time), max(time), max(id)"
                " FROM submissions GROUP BY proposal, beamline, scan"
            )
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            for table in ("frames", "submissions", "jobs", "annotations"):
                if table != "frames":
                    serial = f"pg_get_serial_sequence('{table}', 'id')"
                    connection.execute(text(f"SELECT setval({serial}, {frames})"))
            connection.execute(text("VACUUM ANALYZE"))


def _rows(
    numbers, of_scan, scan_length, probabilities, novelty, version
) -> Iterator[tuple[str, list]]:
    ids = [f"{number:064x}" for number in numbers.tolist()]
    times = [FIRST_TIME + 30.0 * number for number in numbers.tolist()]
    scans = of_scan.tolist()
    doubts = np.where(
        probabilities >= THRESHOLD,
        (1 - probabilities) / (1 - THRESHOLD),
        probabilities / THRESHOLD,
    )
    count = range(len(ids))
    detectors = ("PILATUS 2M", "EIGER2 4M", "Lambda")
    yield (
        "frames",
        [
            (
                *(ids[i], ids[i], None, "cbf", 2_500_000, times[i], 1679, 1475),
                *(json.dumps({"exposure": 0.1}), None, detectors[scans[i] % 3]),
            )
            for i in count
        ],
    )
    yield (
        "submissions",
        [
            (
                *(int(numbers[i]), ids[i], ids[i], f"{ids[i][-8:]}.cbf"),
                *(f"p{scans[i] % PROPOSALS}", f"i{scans[i] % 4}", f"scan-{scans[i]:05}"),
                f"{('silver behenate', 'polymer', 'protein', 'glass')[scans[i] % 4]} {scans[i]}",
                int((numbers[i] - 1) % scan_length),
                ("SAXS", "WAXS", "GISAXS")[scans[i] % 3],
                *(json.dumps({"motors": {"temperature": 20 + i / 100}}), None, times[i]),
            )
            for i in count
        ],
    )
    yield (
        "jobs",
        [
            (
                *(int(numbers[i]), "annotate", f"annotate:{ids[i]}:{version}", "annotate.live"),
                *(ids[i], "seeded", version, "done", 1, 0, 0, times[i], times[i]),
            )
            for i in count
        ],
    )
    yield (
        "annotations",
        [
            (
                *(int(numbers[i]), ids[i], "seeded", version, times[i], float(novelty[i]), 0.1),
                *(json.dumps({"infer": 20.0}), "CPUExecutionProvider", ids[i]),
            )
            for i in count
        ],
    )
    yield (
        "scores",
        [
            (
                *(int(numbers[i]), attribute, position, float(probabilities[i, position])),
                *(THRESHOLD, bool(probabilities[i, position] >= THRESHOLD)),
                float(doubts[i, position]),
            )
            for i in count
            for position, attribute in enumerate(IDS)
        ],
    )
    yield (
        "findings",
        [
            (
                *(version, int(numbers[i]), int(numbers[i]), float(novelty[i])),
                float(doubts[i].max()),
                struct.pack(f">{len(IDS)}f", *probabilities[i]),
            )
            for i in count
        ],
    )


def _write(engine: Engine, tables: Iterator[tuple[str, list]]) -> None:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        if engine.dialect.name == "sqlite":
            cursor.execute("BEGIN IMMEDIATE")
        else:  # foreign keys are sound, and looking at each takes most of the time
            cursor.execute("SET LOCAL session_replication_role = replica")
        for table, rows in tables:
            columns = ", ".join(f'"{name}"' for name in _TABLES[table].split())
            if engine.dialect.name == "postgresql":
                with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                    copy.write(_as_text(rows))
            else:
                marks = ", ".join("?" * len(rows[0]))
                cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        connection.commit()
    finally:
        connection.close()


def _as_text(rows: list) -> str:
    stream = io.StringIO()
    for row in rows:
        stream.write("\t".join(map(_field, row)) + "\n")
    return stream.getvalue()


def _field(value: object) -> str:
    match value:
        case None:
            return r"\N"
        case bytes():
            return rf"\\x{value.hex()}"
        case bool():
            return "t" if value else "f"
        case _:
            return str(value)


def main() -> None:
    url, frames, *version = sys.argv[1:]
    engine = ledger.open_engine(url)
    migrate_engine(engine)
    seed(engine, int(frames), version=version[0] if version else VERSION)
    engine.dispose()


if __name__ == "__main__":
    main()
