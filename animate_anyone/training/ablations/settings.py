"""What an ablation is made of; one folder holds the results of one record of settings."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...json_files import read_record
from ...places import check_folder, whole_file
from ..variants import Variant

TITLES: dict[Variant, str] = {  # as in table 3
    "clip": "CLIP only",
    "blind_controlnet": "ControlNet",
    "clip_blind_controlnet": "CLIP + ControlNet",
    "reference_net": "ReferenceNet",
}
FILE = "settings.json"


@dataclass(frozen=True, kw_only=True)
class AblationSettings:
    """The numbers on which the table depends, besides the recipes."""

    pretraining_steps: int  # of the denoiser that all rows start from
    steps: int  # of training of each row
    shards: int  # files of 100 drawn characters
    pairs: int  # held-out characters
    sampling_steps: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 2 if name == "pairs" else 1  # of one character there is no error
            if value < least:
                option = name.replace("_", "-")
                raise InputError(f"--{option} got {value}; it must be {least} or more.")

    def claim(self, folder: Path) -> None:
        """Write the settings into a new folder; InputError if it was begun with other ones.

        Rows of different settings would stand in one table.
        """
        check_folder(folder, name="folder")
        path, own = folder / FILE, self.data()
        if not path.exists():
            with whole_file(path, name="folder") as part:
                part.write_text(json.dumps(own, indent=1) + "\n", encoding="utf-8")
            return
        there = read_record(path, "folder")
        unlike = [
            f"{name} is {there.get(name)} there and {value} here"
            for name, value in own.items()
            if there.get(name) != value
        ]
        if unlike:
            raise InputError(
                f"folder got {folder}, which was begun with other settings: {'; '.join(unlike)}. "
                "Give those, or choose a new folder."
            )

    def data(self) -> dict[str, Any]:
        """Return the settings as values for JSON."""
        return {**asdict(self), "rows": list(TITLES)}
