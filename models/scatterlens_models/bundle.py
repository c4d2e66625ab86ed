"""Bundles: one model version as a folder that any worker can serve, whatever the method.

A bundle is `bundle.json`, `model.onnx` and what belongs to them (card, report). `bundle.json` names
the sha256 of every other file; the version is the hash of `bundle.json` itself, so it pins all.
"""

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scatterlens_models.preprocess import PreprocessSpec
from scatterlens_models.vocabulary import Attribute, Vocabulary

FORMAT = 1
CARD = "card.md"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NOVELTY_BYTES = 256 * 2**20
DEFAULT_BUNDLE = "slim-resnet18"
"""The best of the shipped bundles that answer within 100 ms on one core; see docs/models.md."""
_SHIPPED = Path(__file__).parent / "bundles"


class BundleError(ValueError):
    """A bundle that cannot be trusted or read; install it again from where it came."""


@dataclass(frozen=True, eq=False)
class NoveltyModel:
    """How unlike the validation frames a frame's features are.

    Mahalanobis distance under a shrunk covariance, reported as its percentile on validation.
    """

    mean: np.ndarray
    """(D,)."""
    precision: np.ndarray
    """Inverse of the shrunk covariance, (D, D)."""
    quantiles: np.ndarray
    """Distances on validation at equally spaced percentiles from 0 to 1."""

    def percentile(self, features: np.ndarray) -> float:
        """Share of validation frames that are nearer to the mean, 0 to 1."""
        offset = features - self.mean
        distance = float(np.sqrt(max(offset @ self.precision @ offset, 0.0)))
        grid = np.linspace(0, 1, len(self.quantiles))
        return float(np.interp(distance, self.quantiles, grid))


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified model version, without its session."""

    path: Path
    version: str
    """First 12 hexadecimal digits of the content hash."""
    content: dict[str, Any]
    """`bundle.json` as read."""
    novelty: NoveltyModel

    @property
    def name(self) -> str:
        """Name of the line of models, shared by its versions."""
        return self.content["name"]

    @property
    def method(self) -> str:
        """Name of the method, such as `aam`."""
        return self.content["method"]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Attributes in the order of every output."""
        described = self.content["vocabulary"]
        return Vocabulary(
            described["name"], tuple(Attribute(**entry) for entry in described["attributes"])
        )

    @cached_property
    def preprocess(self) -> PreprocessSpec:
        """How a frame becomes the network's input."""
        return PreprocessSpec.from_dict(self.content["preprocess"])

    @cached_property
    def thresholds(self) -> np.ndarray:
        """Probability from which an attribute is a tag, (A,)."""
        return np.array(self.content["thresholds"], dtype=np.float64)

    @cached_property
    def bias(self) -> np.ndarray:
        """Uncalibrated logit minus the sum of the attribute map, (A,)."""
        return np.array(self.content["bias"], dtype=np.float64)

    @property
    def additive(self) -> bool:
        """Whether the cells of an attribute map sum to its logit minus its bias."""
        return self.content["additive"]

    @property
    def attention_names(self) -> tuple[str, ...]:
        """Names of the attention maps, in order; empty where the method has none."""
        return tuple(self.content["attention_names"])

    @property
    def gradient_maps(self) -> tuple[str, ...]:
        """Names of the maps of the second graph, in order; empty where it was not exported."""
        return tuple(self.content.get("gradient_maps", ()))

    @cached_property
    def map_scale(self) -> np.ndarray:
        """99th percentile of each positive attribute map on validation: full colour, (A,)."""
        return np.array(self.content["map_scale"], dtype=np.float64)

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures the bundle was measured with."""
        return self.content["metrics"]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal_bundle(folder: Path, content: dict[str, Any]) -> str:
    """Write `bundle.json` over the files already in a folder; returns the version."""
    files = {
        p.name: _sha256(p)
        for p in sorted(folder.iterdir())
        if p.is_file() and p.name != "bundle.json"
    }
    text = json.dumps({"format": FORMAT, **content, "files": files}, indent=1)
    (folder / "bundle.json").write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def load_bundle(path: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: not a bundle, a newer format, a missing file, or one whose hash differs.
    """
    try:
        raw = (path / "bundle.json").read_bytes()
        content = json.loads(raw)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} holds no readable bundle.json") from error
    if content.get("format") != FORMAT:
        raise BundleError(
            f"{path} has bundle format {content.get('format')}, this version reads {FORMAT};"
            " upgrade scatterlens or export the model again"
        )
    for name, expected in content["files"].items():
        file = path / name
        if Path(name).name != name or not file.is_file():
            raise BundleError(f"{path} misses its file {name}; install the bundle again")
        if _sha256(file) != expected:
            raise BundleError(
                f"{name} in {path} is not the file that was sealed; install the bundle again"
            )
    with np.load(path / "novelty.npz", allow_pickle=False) as arrays:
        novelty = NoveltyModel(
            arrays["mean"].astype(np.float64),
            arrays["precision"].astype(np.float64),
            arrays["quantiles"].astype(np.float64),
        )
    return Bundle(path, hashlib.sha256(raw).hexdigest()[:12], content, novelty)


def verify_bundle(path: Path) -> Bundle:
    """Read and verify a bundle from elsewhere: all that serving reads of it is there and fits.

    Raises:
        BundleError: it is not what was sealed, or `bundle.json` says what cannot be served.
    """
    try:
        with zipfile.ZipFile(path / "novelty.npz") as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _NOVELTY_BYTES:
                raise BundleError(f"novelty.npz in {path.name} is too large; export it again")
        bundle = load_bundle(path)
        _require_sound(bundle)
    except BundleError:
        raise
    except _MALFORMED as error:
        raise BundleError(
            f"{path.name} is no bundle that can be served ({type(error).__name__}: {error});"
            " export the model again with this version"
        ) from error
    return bundle


_MALFORMED = (
    *(AttributeError, EOFError, LookupError, MemoryError, OSError, TypeError, ValueError),
    zipfile.BadZipFile,
)
"""What reading a document or an array of another shape than expected raises."""


def _require_sound(bundle: Bundle) -> None:
    count = len(bundle.vocabulary.ids)
    per_attribute = (bundle.thresholds, bundle.bias, bundle.map_scale)
    if not _NAME.fullmatch(bundle.name) or not _NAME.fullmatch(bundle.method):
        raise BundleError("name and method of a bundle are letters, digits, dots and dashes")
    if count == 0 or any(values.shape != (count,) for values in per_attribute):
        raise BundleError(f"{bundle.name} has other numbers than one for each attribute")
    if not isinstance(bundle.metrics, dict) or not isinstance(bundle.additive, bool):
        raise BundleError(f"{bundle.name} has no metrics, or does not say whether it is additive")
    names = (*bundle.attention_names, *bundle.gradient_maps)
    if not all(isinstance(name, str) for name in names) or bundle.preprocess.size < 1:
        raise BundleError(f"{bundle.name} names its maps or its input size in no way that is read")


def bundle_digest(path: Path) -> str:
    """sha256 of the `bundle.json` in a folder; its first 12 digits are the version."""
    return _sha256(path / "bundle.json")


def shipped_bundles() -> dict[str, Path]:
    """Folders of the bundles that come with the package, by name."""
    return {p.parent.name: p.parent for p in sorted(_SHIPPED.glob("*/bundle.json"))}


def find_bundle(name: str, home: Path | None = None) -> Path:
    """Folder of a bundle by name: an installed one (under `home`) before a shipped one.

    Raises:
        BundleError: no bundle of that name; the message lists those that exist.
    """
    known = shipped_bundles()
    if home is not None:
        known |= {p.parent.name: p.parent for p in (home / "bundles").glob("*/bundle.json")}
    if name not in known:
        raise BundleError(f"no bundle {name!r}; there are {', '.join(sorted(known)) or 'none'}")
    return known[name]


def bundle_folder(name: str) -> Path:
    """Folder of a bundle that is named by its folder or, if shipped, by its name."""
    return Path(name) if Path(name).is_dir() else find_bundle(name)
