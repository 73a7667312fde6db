"""What is known of a weight set: its networks, its published files, its licence."""

from dataclasses import dataclass
from typing import Literal

from ...config import Preset


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One published file.

    Commit hashes are known for few repositories. Without one the newest revision is asked for,
    and size and sha256 pin the file: a changed file is refused.
    """

    repository: str
    path: str  # in the repository
    to: str  # in the folder of the weight set
    revision: str | None = None
    size: int | None = None  # bytes
    sha256: str | None = None
    # What it is: "denoiser", "motion", "reference_net", "pose_guider", "autoencoder",
    # "image_encoder", "image_encoder_config", "detector", "estimator"; "" or another word for a
    # file that no loader asks for, which is fetched and shown under its own name.
    role: str = ""
    usual_size: int = 0  # bytes that such a file has; an estimate where `size` is None
    shared_name: str | None = None  # its name where sets share it, beside the files of others
    licence: str | None = None  # None: that of the set

    @property
    def address(self) -> str:
        """Where a browser finds the file."""
        revision = self.revision or "main"
        return f"https://huggingface.co/{self.repository}/resolve/{revision}/{self.path}"


@dataclass(frozen=True, kw_only=True)
class WeightSet:
    """What belongs to one name."""

    name: str
    title: str
    licence: str
    source: Literal["pack", "hub", "own"]  # comes with the pack, is published, or is self-made
    preset: Preset | None = None  # None: it holds no networks of Animate Anyone
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
