"""The record of a weight set: its networks, published files and licence."""

from dataclasses import dataclass
from typing import Literal

from ...config import Preset


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One published file.

    Commit hashes are known for few repositories. Without one the newest revision is requested,
    and size and sha256 identify the file: a changed file is refused.
    """

    repository: str
    path: str  # in the repository
    to: str  # in the folder of the weight set
    revision: str | None = None
    size: int | None = None  # bytes
    sha256: str | None = None
    # Its use: "denoiser", "motion", "reference_net", "pose_guider", "autoencoder",
    # "image_encoder", "image_encoder_config", "detector", "estimator"; "" or another word for a
    # file that no loader uses, which is downloaded and listed under its own name.
    role: str = ""
    usual_size: int = 0  # bytes that such a file has; an estimate where `size` is None
    shared_name: str | None = None  # file name in a folder that several sets share
    licence: str | None = None  # None: that of the set

    @property
    def address(self) -> str:
        """The URL of the file."""
        revision = self.revision or "main"
        return f"https://huggingface.co/{self.repository}/resolve/{revision}/{self.path}"


@dataclass(frozen=True, kw_only=True)
class WeightSet:
    """A weight set: its name, preset, published files and licence."""

    name: str
    title: str
    licence: str
    source: Literal["pack", "hub", "own"]  # comes with the pack, is published, or is self-made
    preset: Preset | None = None  # None: no networks of Animate Anyone
    files: tuple[HubFile, ...] = ()  # published ones

    @classmethod
    def of(
        cls,
        preset: Preset,
        source: Literal["pack", "hub", "own"],
        files: tuple[HubFile, ...] = (),
    ) -> "WeightSet":
        """Return the weight set of a preset, under the preset's name, title and licence."""
        return cls(
            name=preset.name,
            title=preset.title,
            licence=preset.licence,
            source=source,
            preset=preset,
            files=files,
        )
