"""What the command line prints when something goes wrong, and which code it returns."""

import argparse
import errno

import pytest

from animate_anyone import __main__ as program
from animate_anyone.errors import InputError


@pytest.fixture
def failing(monkeypatch):
    """Return a function that runs a command which raises an error."""

    def run(error, *arguments):
        def fail(_):
            raise error

        parser = argparse.ArgumentParser()
        commands = parser.add_subparsers(dest="command")
        commands.add_parser("animate").set_defaults(run=fail)
        monkeypatch.setattr(program, "command_line", lambda: parser)
        return program.main(["animate", *arguments])

    return run


FULL = OSError(errno.ENOSPC, "No space left on device", "/data/run/log.jsonl")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("steps got 0; it must be 1 or more."), 2, "steps got 0; it must be 1 or more."),
        (FULL, 1, "the system refused /data/run/log.jsonl: No space left on device."),
        (
            PermissionError(errno.EACCES, "Permission denied", "a.mp4"),
            1,
            "a.mp4: Permission denied",
        ),
        (MemoryError(), 1, "the memory is full. Use fewer frames"),
        (KeyError("people"), 1, "an unexpected KeyError: 'people'. Run the command again with"),
        (ValueError("two\nlines"), 1, "an unexpected ValueError: two lines."),
        (RecursionError(), 1, "an unexpected RecursionError: no message."),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_error_is_one_line(failing, capsys, error, code, line):
    assert failing(error) == code
    said = capsys.readouterr().err
    assert said.startswith("animate: ")
    assert line in said
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_debug_keeps_the_traceback(failing):
    with pytest.raises(KeyError):
        failing(KeyError("people"), "--debug")


def test_help_names_debug():
    assert "--debug" in program.command_line().format_help()
