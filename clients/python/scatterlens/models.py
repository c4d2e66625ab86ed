"""Models that a gateway keeps: registering one, making one production, going back."""

import errno
import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO

from scatterlens.arguments import checked
from scatterlens.errors import MissingFile
from scatterlens.files import path_of, reading
from scatterlens.schemas import (
    CandidateIn,
    ModelDetail,
    ModelInfo,
    OldFrames,
    PromoteIn,
    Reannotation,
    RollbackIn,
)
from scatterlens.transport import Transport, read, read_list


class GatewayModels:
    """Models that a gateway keeps."""

    def __init__(self, transport: Transport):
        self._transport = transport

    def list(self) -> list[ModelInfo]:
        """As `Client.models`."""
        return read_list(ModelInfo, self._transport.request("GET", "models"))

    def show(self, model: str) -> ModelDetail:
        """As `Client.model`."""
        return self._transport.get(ModelDetail, f"models/{self._version(model)}")

    def register(
        self, bundle: Path, run_id: str | None = None, other_vocabulary: bool = False
    ) -> ModelDetail:
        """As `Client.register_model`."""
        params = {"run_id": run_id, "other_vocabulary": other_vocabulary or None}
        response = self._transport.request(
            "POST",
            "models",
            params=params,
            headers={"Content-Type": "application/zip"},
            body=lambda: _packed(bundle),
        )
        return read(ModelDetail, response)

    def promote(
        self, model: str, reason: str, override: bool, reannotate: OldFrames | None
    ) -> ModelDetail:
        """As `Client.promote_model`."""
        said = checked(
            PromoteIn, {"reason": reason, "override": override, "reannotate": reannotate}
        )
        path = f"models/{self._version(model)}/promote"
        return read(ModelDetail, self._transport.send("POST", path, said))

    def roll_back(self, reason: str) -> ModelDetail:
        """As `Client.roll_back_model`."""
        # Naming what is left makes the request safe to send twice.
        leaving = next((one.version for one in self.list() if one.production), None)
        said = checked(RollbackIn, {"reason": reason, "leaving": leaving})
        return read(ModelDetail, self._transport.send("POST", "models/rollback", said))

    def set_candidate(self, model: str | None) -> None:
        """As `Client.set_candidate`."""
        version = None if model is None else self._version(model)
        said = checked(CandidateIn, {"version": version})
        self._transport.send("PUT", "models/aliases/candidate", said)

    def annotate(self, model: str, frames: OldFrames) -> Reannotation:
        """As `Client.annotate_old_frames`."""
        response = self._transport.send("POST", f"models/{self._version(model)}/annotate", frames)
        return read(Reannotation, response)

    def _version(self, model: str) -> str:
        """Version of `name`, `version` or `name@version`; of a name, the one that is listed first.

        What is in no list is handed on: the gateway says what there is.
        """
        for one in self.list():
            if model in (one.name, one.version, f"{one.name}@{one.version}"):
                return one.version
        return model.rpartition("@")[2]


def _packed(bundle: Path) -> BinaryIO:
    """A bundle as an open zip file: a folder is packed, a zip file is taken as it is."""
    bundle = path_of(bundle)
    with reading(bundle):
        if bundle.is_file():
            return bundle.open("rb")
        if not (bundle / "bundle.json").is_file():
            reason = "It holds no bundle.json: name the folder of a bundle"
            raise MissingFile(errno.ENOENT, reason, str(bundle))
        stream = tempfile.TemporaryFile()  # whoever sends it closes it
        # Weights hardly shrink: packing them takes longer than sending them.
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as packed:
            for path in sorted(p for p in bundle.iterdir() if p.is_file()):
                packed.write(path, path.name)
        stream.seek(0)
        return stream
