"""The exceptions of this package.

AnimateAnyoneError
├── InputError      a picture, clip, pose or parameter that cannot be used
├── ConfigError     a configuration that contradicts itself, or an unknown preset name
├── WeightsError    a weight file that is damaged, unsafe or of another kind than required
├── PackageError    a required package is not installed
├── MediaError      decoding or encoding of pictures and video failed
├── DownloadError   a file could not be downloaded, or differs from the expected file
└── TrainingError   a training run that cannot continue

Every message names the input, its value, the rule, and the way out.
"""


class AnimateAnyoneError(Exception):
    """Base class of all errors that this package raises itself."""


class InputError(AnimateAnyoneError, ValueError):
    """A picture, clip, pose or parameter that cannot be used."""


class ConfigError(AnimateAnyoneError, ValueError):
    """A configuration that contradicts itself, or an unknown preset name."""


class WeightsError(AnimateAnyoneError):
    """A weight file that is damaged, unsafe or of another kind than required."""


class PackageError(AnimateAnyoneError, ImportError):
    """A required package is not installed."""


class MediaError(AnimateAnyoneError):
    """Decoding or encoding of pictures and video failed."""


class DownloadError(AnimateAnyoneError):
    """A file could not be downloaded, or differs from the expected file."""


class TrainingError(AnimateAnyoneError):
    """A training run that cannot continue."""
