"""One JSON file for each row and seed, written when its run has ended and meant to be kept."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from scatterlens_models.reproduce.measuring import Figures
from scatterlens_models.reproduce.rows import Experiment
from scatterlens_models.reproduce.scales import Plan, Scale, plan_from, plan_of


class ResultError(ValueError):
    """A result that cannot stand in this table; the message says which file, and what to do."""


@dataclass(frozen=True)
class Result:
    """What one run found."""

    experiment: str
    scale: str
    row: str
    seed: int
    figures: Figures
    data: str
    """Name of the frames."""
    data_sha256: str
    """Of the manifest of the frames that were used."""
    plan: dict[str, Any]
    plan_sha256: str
    passes: int
    """Frames shown in all."""
    minutes: float
    """Of training, by all processes that took part; phases shared with other rows included."""
    machine: dict[str, Any]
    scatterlens: str


def machine(device: str) -> dict[str, Any]:
    """What this process computes with; `device` as torch names what it trains on."""
    cuda = device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(device) if cuda else device,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def result_path(folder: Path, row: str, seed: int) -> Path:
    """Where a result lies in the folder of its experiment and scale."""
    return folder / f"{row}-seed{seed}.json"


def write_result(folder: Path, result: Result) -> None:
    """Write a result; a reader finds the whole file, or none."""
    text = json.dumps(asdict(result), indent=1, allow_nan=False)
    write_whole(result_path(folder, result.row, result.seed), text + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step, whoever else writes into the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def read_result(folder: Path, row: str, seed: int, plan: Plan) -> Result | None:
    """The result of a run, or None where it has not ended.

    Raises:
        ResultError: the file is no result, or one of another plan.
    """
    path = result_path(folder, row, seed)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        result = Result(**json.loads(text))
        made_by = plan_from(result.plan)
    except (ValueError, TypeError, KeyError) as error:
        raise ResultError(
            f"{path} is no result of this version ({error}): move it away, and its run is repeated"
        ) from error
    if made_by != plan:
        raise ResultError(
            f"{path} is the result of another recipe ({result.plan_sha256[:12]}, now"
            f" {plan.digest[:12]}): move it away and its run is repeated, or name another folder"
            " by --results"
        )
    return result


def read_results(folder: Path, experiment: Experiment, scale: Scale, data: bool) -> list[Result]:
    """All that have ended, in the order of rows and seeds.

    Raises:
        ResultError: one cannot be read, is of another recipe, or of other frames than the rest.
    """
    found = []
    for row in experiment.rows:
        for seed in sorted(_seeds(folder, row.id)):
            plan = plan_of(experiment, row, scale, seed, data)
            result = read_result(folder, row.id, seed, plan)
            if result is not None:
                found.append(result)
    for result in found:
        check_frames(folder, result, found[0].data_sha256)
    return found


def _seeds(folder: Path, row: str) -> list[int]:
    stems = (path.stem.removeprefix(f"{row}-seed") for path in folder.glob(f"{row}-seed*.json"))
    return [int(stem) for stem in stems if stem.isdigit()]


def check_frames(folder: Path, result: Result, digest: str) -> None:
    """Refuse a result of other frames.

    Raises:
        ResultError: they are others.
    """
    if result.data_sha256 != digest:
        raise ResultError(
            f"{result_path(folder, result.row, result.seed)} was measured on other frames"
            f" ({result.data}, {result.data_sha256[:12]}, here {digest[:12]}): move it away and"
            " its run is repeated, or name another folder by --results"
        )
