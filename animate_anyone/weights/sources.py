"""Open the five parts of a weight set from files, a folder, a bundle or a preset's name.

Files are recognised by their tensors. A file that the caller gives for a named slot is checked
against that slot, so the error for swapped or wrong files names both.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from ..errors import WeightsError
from ..json_files import read_record
from ..names.some import some
from ..protocols import Progress
from .detect import describe, identify, motion_widths
from .read import SUFFIXES, Weights, read_weights
from .sets.aa_mini import AA_MINI
from .sets.table import presets

logger = logging.getLogger(__name__)

MINI_FOLDER = Path(__file__).parent / "mini"
BUNDLE_PARTS = ("denoiser", "reference_net", "pose_guider", "autoencoder", "image_encoder")

_SLOTS = {  # slot: kinds of file that fit, and what the slot is called in messages
    "denoiser": (("denoiser", "unet"), "a denoising UNet"),
    "reference_net": (("reference_net", "unet"), "a ReferenceNet"),
    "pose_guider": (("pose_guider",), "a Pose Guider"),
    "motion": (("motion", "denoiser"), "a motion module file"),
    "autoencoder": (("autoencoder_kl", "autoencoder_tiny"), "an autoencoder"),
    "image_encoder": (("image_encoder",), "a CLIP vision model with projection"),
}
# With a bundle in these slots its network of that name is used, beside a denoiser of its own file.
_FROM_BUNDLES = ("reference_net", "pose_guider")
_ENCODERS = ("autoencoder", "image_encoder")
_REQUIRED = ("denoiser", "reference_net", "pose_guider")
_FITTING = {kind for kinds, _ in _SLOTS.values() for kind in kinds} | {"bundle"}


@dataclass(frozen=True, kw_only=True)
class WeightPaths:
    """One file for each slot."""

    denoiser: Path
    reference_net: Path
    pose_guider: Path
    motion: Path | None = None  # None: use those in the denoiser's file, if there are any
    autoencoder: Path | None = None
    image_encoder: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The opened parts of a weight set. Motion modules are among the denoiser's tensors."""

    denoiser: Weights
    reference_net: Weights
    pose_guider: Weights
    autoencoder: Weights | None = None
    image_encoder: Weights | None = None

    @property
    def opened(self) -> dict[str, Weights]:
        """The parts that are there, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: weights for name, weights in found.items() if weights is not None}

    @property
    def tensors(self) -> int:
        """The number of tensors in all parts."""
        return sum(map(len, self.opened.values()))

    def watched(self, progress: Progress) -> "Parts":
        """Return the parts such that `progress` is called as each tensor is read."""
        total, done = self.tensors, 0

        def look() -> None:
            nonlocal done
            progress(min(done, total), total)
            done += 1

        return Parts(**{name: weights.watched(look) for name, weights in self.opened.items()})

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata of all files; if they differ, the denoiser's is used."""
        return {
            **self.pose_guider.metadata,
            **self.reference_net.metadata,
            **self.denoiser.metadata,
        }


def open_parts(
    source: str | Path | WeightPaths | Iterable[str | Path],
    named: Mapping[str, str | Path] | None = None,  # files by slot, beside those of `source`
) -> Parts:
    """Open a weight set: "aa-mini", a bundle, a folder, several files, or a file for each slot.

    In a list, files may stand beside one folder, bundle or "aa-mini", and replace its networks.
    """
    if isinstance(source, WeightPaths):
        slots = {field.name: getattr(source, field.name) for field in fields(source)}
        return _parts(_opened_slots({slot: path for slot, path in slots.items() if path}))
    if isinstance(source, str | Path):
        source = [_folder_of_preset(source)]
    paths = [MINI_FOLDER if path == AA_MINI.name else Path(path) for path in source]
    slots = _opened_slots(named or {})
    folders = [path for path in paths if path.is_dir()]
    if len(folders) > 1:
        raise WeightsError(
            f"weights got {len(folders)} folders ({some(folders)}); a weight set "
            "has one. Name the files to use instead."
        )
    base = _sorted_files(_weight_files(folders[0]), strict=False) if folders else {}
    files = _sorted_files([path for path in paths if path not in folders])
    return _parts({**_replaced(base, files), **slots})


def files_of(source: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return all files that `open_parts` reads of a source: weights, and the JSON beside them."""
    sources = [source] if isinstance(source, str | Path) else source
    paths = [Path(_folder_of_preset(each)) for each in sources]
    files = [each for path in paths for each in (_weight_files(path) if path.is_dir() else [path])]
    return [each for file in files for each in (file, *filter(None, [_beside(file)]))]


def require_kind(
    weights: Weights,
    slot: str,
    beside: Mapping[str, str] | None = None,  # kinds of the files in the other slots
) -> None:
    """Raise WeightsError, which says what the file is, unless it fits the slot."""
    kinds, name = _SLOTS[slot]
    kind = identify(weights.shapes)
    if kind in kinds:
        return
    other = next((title for fits, title in _SLOTS.values() if kind in fits), None)
    hint = f"choose the file of {name}"
    if kind == "bundle":
        hint = "a bundle holds all networks: give it alone, and leave the other slots empty (none)"
    elif swapped := _swapped_with(slot, kind, beside or {}):
        hint = f"this file and that of {swapped} seem to be swapped"
    elif other:
        hint += f" here, and this one where {other} is asked for"
    raise WeightsError(f"{slot} got {weights.source}, which is {describe(kind)}; {hint}.")


def _swapped_with(slot: str, kind: str, beside: Mapping[str, str]) -> str | None:
    """Return the slot whose file belongs here, while this file belongs there; or None."""
    return next(
        (
            other
            for other, its_kind in beside.items()
            if other != slot and kind in _SLOTS[other][0] and its_kind in _SLOTS[slot][0]
        ),
        None,
    )


def with_motion(denoiser: Weights, motion: Weights) -> Weights:
    """Return the denoiser's tensors with the motion modules of another file."""
    require_kind(motion, "motion")
    modules = motion.renamed({key: key for key in motion if ".motion_modules." in key})
    widths = tuple(
        shape[0] if shape else 0
        for key, shape in sorted(denoiser.shapes.items())
        if key.startswith("down_blocks.") and key.endswith(".resnets.0.conv1.weight")
    )
    found = motion_widths(modules.shapes)
    if found != widths:
        raise WeightsError(
            f"motion got {motion.source}, whose modules have the widths {found}; the denoising "
            f"UNet {denoiser.source} has {widths}. Choose the motion file of this UNet."
        )
    plain = {key for key in denoiser if ".motion_modules." in key}
    return denoiser.without(plain).updated(modules)


def sidecar(path: str | Path) -> dict[str, Any]:
    """Return the JSON beside a weight file, empty if there is none.

    It has the file's name with the ending .json, or is `config.json`.
    """
    file = _beside(Path(path))
    return read_record(file, "settings", raises=WeightsError) if file else {}


def _beside(path: Path) -> Path | None:
    candidates = (path.with_suffix(".json"), path.with_name("config.json"))
    return next((each for each in candidates if each.is_file()), None)


def _folder_of_preset(source: str | Path) -> Path:
    if source == AA_MINI.name:
        return MINI_FOLDER
    if source in presets() and not Path(source).exists():
        raise WeightsError(
            f"weights got the preset {str(source)!r}, whose files are not part of this package; "
            f"fetch them with `python -m animate_anyone download {source} --out FOLDER` and give "
            "FOLDER instead."
        )
    return Path(source)


def _weight_files(folder: Path) -> list[Path]:
    """Return the weight files of a folder and of its subfolders, except hidden ones."""
    found = [
        path
        for pattern in ("*", "*/*")
        for path in sorted(folder.glob(pattern))
        if path.suffix in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise WeightsError(
            f"{folder} holds no weight files ({', '.join(SUFFIXES)}); choose the folder with the "
            "denoising UNet, the ReferenceNet and the Pose Guider."
        )
    return found


def _opened_slots(paths: Mapping[str, str | Path]) -> dict[str, Weights]:
    opened = {slot: _with_sidecar(read_weights(path), Path(path)) for slot, path in paths.items()}
    kinds = {slot: identify(weights.shapes) for slot, weights in opened.items()}
    further: dict[str, Weights] = {}
    for slot, weights in list(opened.items()):
        if kinds[slot] == "bundle" and slot in _FROM_BUNDLES:
            parts = _bundle_parts(weights)
            if slot in parts:
                opened[slot] = parts[slot]
                further |= {name: parts[name] for name in _ENCODERS if name in parts}
        require_kind(opened[slot], slot, kinds)
    return {**further, **opened}


def _sorted_files(paths: list[Path], *, strict: bool = True) -> dict[str, Weights]:
    """Assign files to slots by their tensors; with `strict`, a file that fits no slot is an error.

    Files that the user named are strict, files found in a folder are not.
    """
    kinds: dict[str, list[Weights]] = {}
    for path in paths:
        weights = read_weights(path)
        kind = identify(weights.shapes)
        if kind not in _FITTING and strict:
            raise WeightsError(
                f"weights got {path}, which is {describe(kind)}; it has no place in a weight set."
            )
        kinds.setdefault(kind, []).append(_with_sidecar(weights, path))
    bundle = _bundle_parts(_only("bundle", kinds["bundle"])) if "bundle" in kinds else {}
    if bundle and not strict:
        return bundle
    heads = kinds.get("denoiser", []) + kinds.get("unet", [])
    bodies = kinds.get("reference_net", [])
    if not bodies and len(heads) == 2 and len(kinds.get("unet", [])) == 1:
        heads, bodies = kinds["denoiser"], kinds["unet"]
    slots = {
        "denoiser": heads,
        "reference_net": bodies,
        "pose_guider": kinds.get("pose_guider", []),
        "motion": kinds.get("motion", []),
        "autoencoder": kinds.get("autoencoder_kl", []) + kinds.get("autoencoder_tiny", []),
        "image_encoder": kinds.get("image_encoder", []),
    }
    return _replaced(bundle, {slot: _only(slot, found) for slot, found in slots.items() if found})


def _replaced(base: dict[str, Weights], files: dict[str, Weights]) -> dict[str, Weights]:
    """Return the slots of a whole set with some of its networks replaced by single files."""
    if "denoiser" in files and identify(files["denoiser"].shapes) == "denoiser":
        base = {slot: weights for slot, weights in base.items() if slot != "motion"}
    return {**base, **files}


def _only(slot: str, found: list[Weights]) -> Weights:
    if len(found) > 1:
        names = some([weights.source for weights in found])
        raise WeightsError(
            f"{slot} got {len(found)} files that fit ({names}); name the one to use, or remove the "
            "others."
        )
    return found[0]


def _with_sidecar(weights: Weights, path: Path) -> Weights:
    """Add the image encoder's configuration to its metadata; its tensors do not show it."""
    if identify(weights.shapes) != "image_encoder" or "image_encoder" in weights.metadata:
        return weights
    found = sidecar(path)
    if found:
        weights.metadata["image_encoder"] = json.dumps(found)
    return weights


def _bundle_parts(bundle: Weights) -> dict[str, Weights]:
    parts = {name: bundle.part(f"{name}.") for name in BUNDLE_PARTS}
    for name, weights in parts.items():
        weights.source = f"{bundle.source} ({name})"
        if weights:
            require_kind(weights, name)
    return {name: weights for name, weights in parts.items() if weights}


def _parts(opened: dict[str, Weights]) -> Parts:
    missing = [slot for slot in _REQUIRED if slot not in opened]
    if missing:
        found = some([weights.source for weights in opened.values()]) or "nothing"
        raise WeightsError(
            f"weights lack {' and '.join(_SLOTS[slot][1] for slot in missing)}; found {found}. Add "
            "the missing file."
        )
    motion = opened.pop("motion", None)
    parts = Parts(**opened)
    _refuse_denoiser_twice(parts)
    return replace(parts, denoiser=with_motion(parts.denoiser, motion)) if motion else parts


def _refuse_denoiser_twice(parts: Parts) -> None:
    """Raise WeightsError if the reference network is the denoiser; log what can only be suspected.

    A ReferenceNet has no output head, but a plain Stable Diffusion UNet, which has one, may serve
    as ReferenceNet. By its shapes it is the same as a denoising UNet, so values decide.
    """
    reference, denoiser = parts.reference_net, parts.denoiser
    if identify(reference.shapes) != "unet":
        return
    seen = ("conv_in.weight", "time_embedding.linear_1.weight", "conv_out.weight")
    halves = ((reference[key].half(), denoiser[key].half()) for key in seen if key in denoiser)
    if all(torch.equal(own, other) for own, other in halves):
        raise WeightsError(
            f"reference_net got {reference.source}, which holds the denoising UNet of "
            f"{denoiser.source} again; a ReferenceNet has other weights. Choose the file of the "
            "ReferenceNet (reference_unet)."
        )
    logger.warning(
        "reference_net: %s is a UNet with an output head, as a plain Stable Diffusion UNet or a "
        "denoising UNet. It is used without it; if it is a denoising UNet, the result is wrong.",
        reference.source,
    )
