"""The exceptions of this package.

AnimateAnyoneError
├── InputError      a picture, clip, pose or parameter that cannot be used
├── ConfigError     a configuration that contradicts itself, or an unknown preset name
├── WeightsError    a weight file that is damaged, unsafe or not what was asked for
├── PackageError    a package that is not installed is needed
├── MediaError      decoding or encoding of pictures and video failed
├── DownloadError   a file could not be fetched, or is not the file that was expected
└── TrainingError   a training run that cannot go on

Every message names the input, its value, the rule, and the way out.
"""


class AnimateAnyoneError(Exception):
    """Base of everything this package raises on purpose."""


class InputError(AnimateAnyoneError, ValueError):
    """A picture, clip, pose or parameter that cannot be used."""


class ConfigError(AnimateAnyoneError, ValueError):
    """A configuration that contradicts itself, or an unknown preset name."""


class WeightsError(AnimateAnyoneError):
    """A weight file that is damaged, unsafe or not what was asked for."""


class PackageError(AnimateAnyoneError, ImportError):
    """A package that is not installed is needed."""


class MediaError(AnimateAnyoneError):
    """Decoding or encoding of pictures and video failed."""


class DownloadError(AnimateAnyoneError):
    """A file could not be fetched, or is not the file that was expected."""


class TrainingError(AnimateAnyoneError):
    """A training run that cannot go on."""
