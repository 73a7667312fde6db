"""The files of the metrics' networks: named by the user, and verified by their hash."""

import string
from pathlib import Path

from ...errors import WeightsError
from ...weights.hub.download import sha256_of

SHORTEST = 8  # digits, as in the names of PyTorch's published files


def verified(
    path: str | Path,
    sha256: str,  # hexadecimal; its first 8 digits or more
    what: str,  # "the network of FVD": named in errors
) -> Path:
    """Return the path if the file exists and has this sha256; WeightsError otherwise.

    Nothing is downloaded: with another network, a metric would silently give other numbers.
    """
    path = Path(path)
    if not is_sha256_start(sha256):
        raise WeightsError(
            f"sha256 of {what} got {sha256!r}; it must be {SHORTEST} to 64 hexadecimal digits. "
            f"`sha256sum {path}` prints that of your file."
        )
    if not path.is_file():
        raise WeightsError(
            f"{what} got the file {path}, which is not there; it is not downloaded here. Put the "
            f"file with sha256 {sha256} at this place, or name where you have it."
        )
    found = sha256_of(path)
    if not found.startswith(sha256.lower()):
        raise WeightsError(
            f"{what} got the file {path} with sha256 {found}, expected is {sha256}: it is damaged "
            "or another network, and figures could not be compared. Fetch it again, or name its "
            "hash if you mean this file."
        )
    return path


def is_sha256_start(digits: str) -> bool:
    """Return whether the text can be a sha256, or its first 8 or more hexadecimal digits."""
    return SHORTEST <= len(digits) <= 64 and set(digits) <= set(string.hexdigits)
