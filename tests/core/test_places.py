import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import filelock
import pytest

from animate_anyone.errors import InputError, MediaError, WeightsError
from animate_anyone.places import check_folder, check_place, owned, temporary_path, whole_file


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data.json"
    with whole_file(path) as part:
        part.write_text("half")
        assert not path.exists()
        part.write_text("whole")
    assert path.read_text() == "whole"
    with pytest.raises(UnicodeError), whole_file(path) as part:
        part.write_text("half\N{SNOWMAN}", encoding="ascii")
    assert path.read_text() == "whole"
    assert [each.name for each in path.parent.iterdir()] == ["data.json"]

    with (
        pytest.raises(MediaError, match=r"out got .*k\.json; it cannot be written"),
        whole_file(path / "k.json"),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_a_file_has_the_mode_that_the_user_s_umask_gives(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with whole_file(tmp_path / "secret") as part:
        part.touch(mode=0o600)
    assert (tmp_path / "secret").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_two_writers_of_one_name_write_whole_files_and_the_later_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "set.bin"
    with whole_file(path) as first:
        first.write_text("first, ")
        with whole_file(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        first.write_text("first, whole")
    assert path.read_text() == "first, whole"
    assert [each.name for each in tmp_path.iterdir()] == ["set.bin"]


def in_the_way(folder: Path) -> Path:
    (folder / "file").write_text("in the way")
    return folder / "file" / "clip.mp4"


def folder_of_that_name(folder: Path) -> Path:
    (folder / "clip.mp4").mkdir()
    return folder / "clip.mp4"


def pipe(folder: Path) -> Path:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes in folders")
    os.mkfifo(folder / "clip.mp4")
    return folder / "clip.mp4"


def below_proc(folder: Path) -> Path:
    if not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    return Path("/proc/clip.mp4")


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        (in_the_way, "Not a directory|File exists"),
        (folder_of_that_name, "Is a directory"),
        (pipe, "it is a device or a pipe"),
        (below_proc, ""),
        (lambda folder: folder / f"{'n' * 300}.mp4", ""),
        (lambda folder: folder / "a\0b.mp4", "its name holds a zero character"),
    ],
)
def test_a_place_that_cannot_be_written_is_found_before_the_work(tmp_path, place, cause) -> None:
    path = place(tmp_path)
    with pytest.raises(MediaError, match=rf"out got .*; it cannot be written \(.*({cause})"):
        check_place(path)
    with (
        pytest.raises(WeightsError, match="cannot be written"),
        whole_file(path, raises=WeightsError) as part,
    ):
        part.write_text("x")
    assert not list(tmp_path.glob("*.part*"))


def test_a_place_that_can_be_written_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / f"{'n' * 240}.json"
    check_place(path)
    assert list(path.parent.iterdir()) == []
    path.write_text("old")
    check_place(path)
    assert path.read_text() == "old"
    with whole_file(path) as part:  # the temporary name must not be too long either
        part.write_text("new")
    assert path.read_text() == "new"


def test_too_little_space_is_found_before_the_work(tmp_path: Path) -> None:
    for check in (check_place, check_folder):
        with pytest.raises(MediaError, match=r"it needs about 1000000000000 MB, .* MB are free"):
            check(tmp_path / "x", size=10**18)


def test_what_a_killed_process_left_is_removed_after_a_week(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    old, new, other = (temporary_path(each, ".mp4") for each in (path, path, tmp_path / "b.mp4"))
    for each in (old, new, other):
        each.write_text("half")
    long_ago = time.time() - 8 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    os.utime(other, (long_ago, long_ago))
    check_place(path)
    assert set(tmp_path.iterdir()) == {new, other}


def test_a_folder_has_one_owner_and_is_free_when_its_process_dies(tmp_path: Path) -> None:
    words = (
        "import sys, time; from pathlib import Path; from animate_anyone.places import owned\n"
        "with owned(Path(sys.argv[1])):\n    print('mine', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", words, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(InputError, match="another process is working"), owned(tmp_path):
            pass
        with owned(tmp_path, name=".other.lock"):
            pass
        other.kill()
    with owned(tmp_path):
        pass
    assert not list(tmp_path.iterdir()) or os.name == "nt"


def test_a_folder_is_let_go_by_another_thread_where_the_lock_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows does not delete an open file; a thread ends the work of a cancelled training run."""

    def refused(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(self)

    kept, make = [], filelock.FileLock

    def kept_lock(*args: object, **options: object) -> filelock.BaseFileLock:
        kept.append(make(*args, **options))  # or its end would let go
        return kept[-1]

    monkeypatch.setattr(Path, "unlink", refused)
    monkeypatch.setattr(filelock, "FileLock", kept_lock)
    rest = ExitStack()
    rest.enter_context(owned(tmp_path))
    thread = threading.Thread(target=rest.close)
    thread.start()
    thread.join()
    with owned(tmp_path):
        assert (tmp_path / ".lock").is_file()
