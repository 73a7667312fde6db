"""The settings that a line of a job may name: the options of `animate`, with JSON values."""

import argparse
import json
from collections.abc import Mapping
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...json_files import is_text
from ...types import Size
from ..going_on import REFERENCE
from ..keeping import FILL
from .options import NEEDED

# Options of the whole run; a line that names one of them is refused.
_OF_THE_RUN = frozenset({"help", "jobs", "out", "models", "preset", "device", "dtype", "sheet",
    "dry-run", "shard", "workers", "threads", "ray", "cpus-per-worker", "gpus-per-worker",
    "provider", "engine-cache"})  # fmt: skip
# Options that take a path, or one word that is none.
_PATHS_OR_WORDS = {"continue-from": REFERENCE, "plate": FILL}
_LORA = "lora"  # its values are paths with a strength
# What one reference encoded once can serve.
_NEIGHBOURS = ("reference", "size", "reference-strength", "per-person", _LORA)


class Settings:
    """Reads and checks settings by the options of a parser; values are those of JSON."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        """Take the options of the parser of `animate`."""
        self._actions = {
            action.option_strings[0].removeprefix("--"): action
            for action in parser._actions
            if action.option_strings and action.help != argparse.SUPPRESS
        }
        self._actions.pop("-h", None)
        self._run = set(_OF_THE_RUN)

    def given(self, options: argparse.Namespace) -> dict[str, Any]:
        """Return the settings that a command line gave for all jobs, paths made absolute."""
        found = {}
        for name, action in self._actions.items():
            value = getattr(options, action.dest, action.default)
            if name not in self._run and value != action.default:
                found[name] = _to_json(value)
        return self._absolute(found, Path.cwd())

    def check(self, settings: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
        """Raise InputError for an unknown setting, a bad value, or a lack of what is needed."""
        names = {_plain(name) for name in settings}
        if len(names) != len(settings):
            raise InputError("a setting stands in it twice, with - and with _; leave one out.")
        for name, value in settings.items():
            self._value(_plain(name), value)
        for needed in NEEDED:
            if needed not in names and needed not in usual:
                raise InputError(f"it has no {needed!r}, and the command line has none for all.")

    def whole(
        self,
        settings: Mapping[str, Any],  # of a line
        usual: Mapping[str, Any],  # of the command line
        folder: Path,  # that relative paths of the line begin at
    ) -> dict[str, Any]:
        """Return the settings of a job, with those of the command line and absolute paths."""
        own = {_plain(name): value for name, value in settings.items()}
        return {**usual, **self._absolute(own, folder)}

    def options(self, settings: Mapping[str, Any]) -> argparse.Namespace:
        """Return settings as the parsed options of one clip."""
        every = {action.dest: action.default for action in self._actions.values()}
        for name, value in settings.items():
            every[self._actions[name].dest] = self._value(name, value)
        return argparse.Namespace(**every)

    def paths(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the files and folders that a job reads."""
        found = []
        for name, value in settings.items():
            values = value if isinstance(value, list) else [value]
            if name == _LORA:
                found += [Path(_split_lora(each)[0]) for each in values]
            elif self._is_path(name, value):
                found += map(Path, values)
        return found

    def _is_path(self, name: str, value: object) -> bool:
        if name in _PATHS_OR_WORDS:
            return value != _PATHS_OR_WORDS[name]
        return self._actions[name].type is Path

    def _absolute(self, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Return settings whose paths do not depend on the folder that a worker runs in."""
        for name, value in settings.items():
            many = isinstance(value, list)
            values = value if many else [value]
            if name == _LORA:
                pairs = map(_split_lora, values)
                settings[name] = [f"{(folder / path).absolute()}{more}" for path, more in pairs]
            elif name in self._actions and self._is_path(name, value):
                paths = [str((folder / each).absolute()) for each in values]
                settings[name] = paths if many else paths[0]
        return settings

    def _value(self, name: str, value: object) -> Any:  # noqa: ANN401  (whatever an option holds)
        """Return a setting's value as the command line would have read it."""
        action = self._action(name)
        if action.nargs == 0:
            if not isinstance(value, bool):
                raise InputError(f"{name} got {value!r}; it must be true or false.")
            return value
        if action.nargs is None:
            return _converted(name, action, value)
        values = value if isinstance(value, list) else [value]
        if not values or (isinstance(action.nargs, int) and len(values) != action.nargs):
            many = action.nargs if isinstance(action.nargs, int) else "one or more"
            raise InputError(f"{name} got {value!r}; it must be a list of {many} values.")
        return [_converted(name, action, each) for each in values]

    def _action(self, name: str) -> argparse.Action:
        if name in self._run:
            raise InputError(
                f"{name} is not of one job but of the whole run; give it on the command line."
            )
        if name not in self._actions:
            near = get_close_matches(name, self._actions, 1)
            hint = f"; did you mean {near[0]}?" if near else ". See animate --help for their names."
            raise InputError(f"{name} is no option of animate{hint}")
        return self._actions[name]


def neighbours(settings: Mapping[str, Any]) -> str:
    """Return a key that is equal for jobs which can share an encoded reference."""
    own = {_plain(name): value for name, value in settings.items()}
    return json.dumps([own.get(name) for name in _NEIGHBOURS])


def _split_lora(
    text: str,  # FILE or FILE:STRENGTH
) -> tuple[str, str]:
    """Return the name of the file, and what follows it: a colon and a number, or nothing."""
    name, colon, number = text.rpartition(":")
    try:
        float(number)
    except ValueError:
        return text, ""
    return (name, colon + number) if name else (text, "")


def _plain(name: str) -> str:
    return name.replace("_", "-")


def _converted(name: str, action: argparse.Action, value: object) -> Any:  # noqa: ANN401
    """Return one value as the option's own reader reads its text."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError(f"{name} got {json.dumps(value)}; it must be a text or a number.")
    if isinstance(value, str) and not is_text(value):
        raise InputError(f"{name} got {value!r}; it holds a sign that no file's name can have.")
    kind = action.type
    if kind is None or kind is Path:
        if not isinstance(value, str) or not value:
            raise InputError(f"{name} got {value!r}; it must be a text.")
        read = value if kind is None else Path(value)
    else:
        try:
            read = kind(str(value))  # type: ignore[operator]
        except (argparse.ArgumentTypeError, TypeError, ValueError) as error:
            kinds = {int: "a whole number", float: "a number"}
            rule = kinds.get(kind, str(error))  # type: ignore[arg-type]
            raise InputError(f"{name} got {value!r}; it must be {rule}.") from error
    if action.choices is not None and read not in action.choices:
        known = ", ".join(map(str, action.choices))
        raise InputError(f"{name} got {value!r}; it must be one of {known}.")
    return read


def _to_json(value: object) -> Any:  # noqa: ANN401  (a JSON value)
    if isinstance(value, Size):
        return f"{value.width}x{value.height}"
    if isinstance(value, (list, tuple)):
        return [_to_json(each) for each in value]
    return str(value) if isinstance(value, (Path, Fraction)) else value
