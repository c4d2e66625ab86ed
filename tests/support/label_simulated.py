"""A table of labels for simulated files, from what is known of them: FOLDER TABLE ATTRIBUTE..."""

import csv
import json
import sys
from pathlib import Path


def main(folder: Path, table: Path, attributes: list[str]) -> None:
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "source", *attributes])
        for truth in sorted(folder.glob("*.truth.json")):
            name = truth.name.removesuffix(".truth.json")
            present = json.loads(truth.read_text())["present"]
            labels = [int(one in present) for one in attributes]
            writer.writerow([f"{name}.cbf", name, *labels])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
