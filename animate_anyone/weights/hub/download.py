"""Published weight sets from their hub repositories.

A file counts only when its size and sha256 are those of the table below; until then it stays in a
hidden folder, from where an interrupted download goes on.
"""

import hashlib
import inspect
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config import get_preset
from ...errors import DownloadError
from ...protocols import Progress

logger = logging.getLogger(__name__)

PARTIAL = ".partial"


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

    @property
    def address(self) -> str:
        """Where a browser finds the file."""
        revision = self.revision or "main"
        return f"https://huggingface.co/{self.repository}/resolve/{revision}/{self.path}"


_LAMBDA = "lambdalabs/sd-image-variations-diffusers"
_VAE = "stabilityai/sd-vae-ft-mse"
_VAE_REVISION = "31f26fdeee1355a5c34592e401dd41e45d25a493"
_MOORE = "patrolli/AnimateAnyone"
_NOVITA = "novita-ai/AnimateAnyone"
_MUSEPOSE = "TMElyralab/MusePose"

_ENCODERS = (
    HubFile(
        repository=_LAMBDA,
        path="image_encoder/pytorch_model.bin",
        to="image_encoder/pytorch_model.bin",
        size=1_215_993_967,
        sha256="89d2aa29b5fdf64f3ad4f45fb4227ea98bc45156bbae673b85be1af7783dbabb",
    ),
    HubFile(
        repository=_LAMBDA,
        path="image_encoder/config.json",
        to="image_encoder/config.json",
        size=703,
    ),
    HubFile(
        repository=_VAE,
        path="diffusion_pytorch_model.safetensors",
        to="autoencoder/diffusion_pytorch_model.safetensors",
        revision=_VAE_REVISION,
        size=334_643_276,
        sha256="a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
    ),
)
SETS: dict[str, tuple[HubFile, ...]] = {
    "moore": (
        HubFile(
            repository=_MOORE,
            path="denoising_unet.pth",
            to="denoising_unet.pth",
            size=3_438_374_293,
            sha256="b9e5a2c34fac369e8a922972ca2210916c6af175a0dad907deccf6235816ad52",
        ),
        HubFile(
            repository=_MOORE,
            path="reference_unet.pth",
            to="reference_unet.pth",
            sha256="beddccb08d49a8b29b0f4d6d456c6521d4382a8d8d48884fa60ba8802509c214",
        ),
        HubFile(
            repository=_MOORE,
            path="motion_module.pth",
            to="motion_module.pth",
            size=1_817_900_227,
            sha256="0d11e01a281b39880da2efeea892215c1313e5713fca3d100a7fbb72ee312ef9",
        ),
        HubFile(
            repository=_MOORE,
            path="pose_guider.pth",
            to="pose_guider.pth",
            sha256="1a8b7c1b4db92980fd977b4fd003c1396bbae9a9cdea00c35d452136d5e4f488",
        ),
        *_ENCODERS,
    ),
    "novita": (
        HubFile(
            repository=_NOVITA,
            path="denoising_unet.pth",
            to="denoising_unet.pth",
            sha256="0158527e3a40405a5452c12d9a111c2a948386b47300771b5316750a8f14534e",
        ),
        HubFile(repository=_NOVITA, path="reference_unet.pth", to="reference_unet.pth"),
        HubFile(repository=_NOVITA, path="motion_module.pth", to="motion_module.pth"),
        HubFile(
            repository=_NOVITA,
            path="pose_guider.pth",
            to="pose_guider.pth",
            size=2_065_454,
            sha256="b4bf7505b63e28fc25e06412127acfd12ae8dcb01539ef70534cf2e4bb75d7ae",
        ),
        *_ENCODERS,
    ),
    "musepose": (
        HubFile(
            repository=_MUSEPOSE,
            path="MusePose/denoising_unet.pth",
            to="denoising_unet.pth",
            size=3_402_758_813,
            sha256="3851e59b6c6106219e5197730747e5c3f26a1582e807e08e2b23fa879c435b36",
        ),
        HubFile(
            repository=_MUSEPOSE,
            path="MusePose/reference_unet.pth",
            to="reference_unet.pth",
            size=3_440_402_647,
            sha256="e80019162d586dac73e5e67e47c9d456c4a78292a127bb3de844ae47aff558c9",
        ),
        HubFile(
            repository=_MUSEPOSE,
            path="MusePose/motion_module.pth",
            to="motion_module.pth",
            size=916_202_377,
            sha256="8427f8b660647834d6cbfcce7400ce7f48119c823ef6aad470a6d3a5b3720fd2",
        ),
        HubFile(
            repository=_MUSEPOSE,
            path="MusePose/pose_guider.pth",
            to="pose_guider.pth",
            sha256="162c43ec616965e1df65ff818aec42acd0d699310e95939b74cbd70b56396234",
        ),
        *_ENCODERS,
    ),
}


def download(name: str, folder: Path) -> list[Path]:
    """Fetch every file of a weight set into `folder` and return where they are.

    Files that are there already and right are not fetched again.
    """
    preset = get_preset(name)
    if name not in SETS:
        reason = (
            "its weights are part of this package"
            if name == "aa-mini"
            else "nobody published weights of it"
        )
        raise DownloadError(
            f"preset got {name!r}, which cannot be downloaded: {reason}. Published sets are "
            f"{', '.join(SETS)}."
        )
    logger.info("%s; licence: %s", preset.title, preset.licence)
    return fetch_all(SETS[name], Path(folder))


def fetch_all(
    files: Sequence[HubFile],
    folder: Path,
    progress: Progress | None = None,  # of the file being fetched, in bytes; None: on the terminal
) -> list[Path]:
    """Return the paths of these files in `folder`, fetched and checked."""
    paths = [fetch(file, folder, progress=progress) for file in files]
    clear_partial(files, folder)
    return paths


def clear_partial(files: Sequence[HubFile], folder: Path) -> None:
    """Remove what fetching these files left beside them; other sets may be half fetched there."""
    for file in files:
        remains = folder / PARTIAL / file.repository
        shutil.rmtree(remains, ignore_errors=True)
        for parent in (remains.parent, folder / PARTIAL):
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def fetch(
    file: HubFile,
    folder: Path,
    get: Callable[..., str] | None = None,  # huggingface_hub.hf_hub_download
    progress: Progress | None = None,  # in bytes; what it raises stops the download
) -> Path:
    """Return the path of one file in `folder`, fetched and checked."""
    target = folder / file.to
    if target.exists():
        check(target, file, target)
        logger.info("%s is there already", target)
        return target
    fetched = _fetched(file, folder, target, get, progress)
    try:
        check(fetched, file, target)
    except DownloadError:
        fetched.unlink(missing_ok=True)  # or the next attempt would take it for complete
        raise
    target.parent.mkdir(parents=True, exist_ok=True)
    fetched.replace(target)
    return target


def check(path: Path, file: HubFile, target: Path) -> None:
    """Raise DownloadError unless the file has the size and sha256 of the table."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise DownloadError(
            f"{path} has {size} bytes, expected are {file.size}: it is truncated or another file. "
            + _by_hand(file, target)
        )
    digest = sha256_of(path)
    if file.sha256 is None:
        logger.warning("%s: no published checksum is known; its sha256 is %s", path, digest)
    elif digest != file.sha256:
        raise DownloadError(
            f"{path} has the sha256 {digest}, expected is {file.sha256}: it is damaged or was "
            "changed by its publisher. " + _by_hand(file, target)
        )


def _fetched(
    file: HubFile,
    folder: Path,
    target: Path,
    get: Callable[..., str] | None,
    progress: Progress | None,
) -> Path:
    if get is None:
        from huggingface_hub import hf_hub_download as get
    raised: list[BaseException] = []
    # Libraries that are too old to be asked for a bar draw their own on the terminal.
    options: dict[str, Any] = {}
    if progress is not None and "tqdm_class" in inspect.signature(get).parameters:
        options["tqdm_class"] = _telling_bar(progress, raised)
    try:
        path = get(
            repo_id=file.repository,
            filename=file.path,
            revision=file.revision,
            local_dir=folder / PARTIAL / file.repository,
            **options,
        )
    except Exception as error:  # the library's own errors and those of three libraries below it
        if raised:
            raise raised[0] from None
        raise DownloadError(
            f"{file.address} could not be fetched ({type(error).__name__}: {error}). Try again: "
            f"what is there already is kept. {_by_hand(file, target)}"
        ) from error
    if raised:  # and taken by the library for a fault of the bar
        raise raised[0]
    return Path(path)


def _telling_bar(progress: Progress, raised: list[BaseException]) -> type:
    """Return a progress bar that draws nothing and tells; `raised` takes what telling raises."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *, initial: int = 0, total: int | None = None, **_: Any) -> None:  # noqa: ANN401
            super().__init__(disable=True)
            self._done, self._total = initial, total or 0

        def update(self, n: float | None = 1) -> None:
            self._done += int(n or 0)
            try:
                progress(self._done, max(self._total, self._done))
            except BaseException as error:
                raised.append(error)
                raise

    return Bar


def _by_hand(file: HubFile, target: Path) -> str:
    return f"By hand: get {file.address} and put it at {target}, in the place of any file there."


def sha256_of(path: Path) -> str:
    """Return the hash of a file, read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
