import gc
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from animate_anyone import memory
from animate_anyone.errors import InputError, MediaError
from animate_anyone.media import VideoWriter, clip_info, frames_of
from animate_anyone.types import Size


def frame_of(value: int) -> np.ndarray:
    """Return a grey frame with a brighter right half."""
    frame = np.full((48, 64, 3), value, np.uint8)
    frame[:, 32:] += 40
    return frame


def write_all(path: Path, frames: Iterable[np.ndarray]) -> None:
    with VideoWriter(path, Size(64, 48), 30) as writer:
        for frame in frames:
            writer.write(frame)


def write_clip(path: Path, frames: int, fps: Fraction | int = 30, **options: object) -> None:
    with VideoWriter(path, Size(64, 48), fps, **options) as writer:  # type: ignore[arg-type]
        for index in range(frames):
            writer.write(frame_of(5 * index % 200))


def write_sound(path: Path, seconds: float, codec: str, with_video: bool = True) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25) if with_video else None
        sound = container.add_stream(codec, rate=48000)
        sound.codec_context.layout = "mono"
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for index in range(round(seconds * 25)):
                picture = av.VideoFrame.from_ndarray(frame_of(0), format="rgb24")
                picture.pts = index
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        tone = np.sin(np.arange(round(seconds * 48000)) * 0.05).astype(np.float32) * 0.3
        for start in range(0, len(tone), 960):
            chunk = (tone[None, start : start + 960] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(chunk, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48000, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_video_round_trip_keeps_frames_order_and_speed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    write_clip(path, 12, Fraction(24000, 1001))
    info = clip_info(path)
    frames = list(frames_of(path))

    assert (info.frames, info.size, info.has_audio) == (12, Size(64, 48), False)
    assert info.fps == Fraction(24000, 1001)
    assert len(frames) == 12
    for index, frame in enumerate(frames):
        assert np.abs(frame.astype(int) - frame_of(5 * index)).max() <= 4


def test_odd_sizes_are_written_one_pixel_larger(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "odd.mp4", Size(33, 17), 30) as writer:
        writer.write(np.full((2, 17, 33, 3), 90, np.uint8))

    assert clip_info(tmp_path / "odd.mp4").size == Size(34, 18)


def test_colours_are_preserved(tmp_path: Path) -> None:
    frame = np.zeros((48, 96, 3), np.uint8)
    frame[:, :32, 0] = frame[:, 32:64, 1] = frame[:, 64:, 2] = 200
    with VideoWriter(tmp_path / "colours.mp4", Size(96, 48), 30) as writer:
        writer.write(frame)
    (again,) = frames_of(tmp_path / "colours.mp4")

    middle = np.array([16, 48, 80])
    assert np.abs(again[24, middle].astype(int) - frame[24, middle]).max() < 8


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")

    assert [frame[0, 0, 0] for frame in frames_of(tmp_path)] == [1, 2, 10]
    info = clip_info(tmp_path)
    assert (info.frames, info.size, info.fps) == (3, Size(6, 4), None)


def test_single_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "pose.png")

    assert (
        clip_info(tmp_path / "pose.png").frames == len(list(frames_of(tmp_path / "pose.png"))) == 1
    )


def test_frames_are_decoded_only_when_needed(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 40)
    data = (tmp_path / "clip.mp4").read_bytes()
    assert next(frames_of(tmp_path / "clip.mp4")).shape == (48, 64, 3)
    # A clip whose end is missing still gives its first frame before it fails.
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match=r"cut\.mp4; it cannot be decoded"):
        list(frames_of(tmp_path / "cut.mp4"))


def test_a_clip_is_read_alike_with_its_facts_or_a_path_and_in_one_or_two_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, 9)
    opened: list[str] = []
    original = av.open
    monkeypatch.setattr(av, "open", lambda name, **kw: opened.append(name) or original(name, **kw))
    info = clip_info(path)
    known = np.stack(list(frames_of(info)))
    assert len(opened) == 2, "the facts, and then the frames"
    assert np.array_equal(np.stack(list(frames_of(path))), known)
    assert len(opened) == 3
    monkeypatch.setattr("animate_anyone.media.clips._KEPT", 0)
    assert np.array_equal(np.stack(list(frames_of(path))), known)
    assert len(opened) == 5
    assert clip_info(path) == info


def test_decoded_frames_are_freed_without_garbage_collection(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, 30)
    gc.collect()
    gc.disable()
    try:
        for number, _ in enumerate(frames_of(path)):
            # What has come since the collection, since none follows, is in generation 0.
            held = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects(generation=0))
            assert held <= 8 or number < 1, f"{held} frames are held"
    finally:
        gc.enable()


def test_inputs_that_are_not_clips_raise_with_their_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.mp4; there is no such file or folder"):
        clip_info(tmp_path / "gone.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError, match=r"text\.mp4; it cannot be decoded"):
        next(frames_of(tmp_path / "text.mp4"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="the folder holds no pictures"):
        next(frames_of(tmp_path / "empty"))
    write_sound(tmp_path / "sound.mp4", 0.2, "aac", with_video=False)
    with pytest.raises(InputError, match=r"sound\.mp4; it holds no video"):
        clip_info(tmp_path / "sound.mp4")


@pytest.mark.parametrize(
    ("source", "codec"), [("tone.mp4", "aac"), ("tone.mkv", "libopus"), ("tone.mov", "pcm_s16le")]
)
@pytest.mark.parametrize("clip", ["clip.mp4", "clip.webm"])
def test_sound_is_copied_and_cut_at_the_end(
    tmp_path: Path, source: str, codec: str, clip: str
) -> None:
    write_sound(tmp_path / source, 1.0, codec)
    write_clip(tmp_path / clip, 15, audio_from=tmp_path / source)

    assert clip_info(tmp_path / clip).has_audio
    with av.open(str(tmp_path / clip)) as container:
        frames = list(container.decode(audio=0))
    heard = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    assert 0.45 < len(heard) / 48000 < 0.6
    assert np.abs(heard[5000:15000]).max() == pytest.approx(0.3, abs=0.05)


def test_copied_sound_is_bit_for_bit_the_same(tmp_path: Path) -> None:
    write_sound(tmp_path / "tone.mp4", 0.5, "aac")
    write_clip(tmp_path / "clip.mp4", 30, audio_from=tmp_path / "tone.mp4")

    packets = []
    for name in ("tone.mp4", "clip.mp4"):
        with av.open(str(tmp_path / name)) as container:
            packets.append([bytes(p) for p in container.demux(audio=0) if p.size])
    assert packets[0] == packets[1]


def test_sound_may_begin_later_in_its_clip(tmp_path: Path) -> None:
    write_sound(tmp_path / "tone.mp4", 1.0, "aac")
    write_clip(tmp_path / "clip.mp4", 15, audio_from=tmp_path / "tone.mp4", audio_start=0.5)

    packets = []
    for name in ("tone.mp4", "clip.mp4"):
        with av.open(str(tmp_path / name)) as container:
            packets.append([(p.pts, bytes(p)) for p in container.demux(audio=0) if p.size])
    later = [data for pts, data in packets[0] if pts is not None and pts >= 24000]
    assert [data for _, data in packets[1]] == later[: len(packets[1])]
    assert len(packets[1]) >= len(later) - 1
    assert 0 <= (packets[1][0][0] or 0) < 1024


def test_silent_source_gives_a_silent_video(tmp_path: Path) -> None:
    write_clip(tmp_path / "silent.mp4", 3)
    write_clip(tmp_path / "clip.mp4", 3, audio_from=tmp_path / "silent.mp4")

    assert not clip_info(tmp_path / "clip.mp4").has_audio


def test_an_interrupt_leaves_no_file_and_keeps_the_existing_one(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")

    def frames() -> Iterator[np.ndarray]:
        yield frame_of(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(path, frames())

    assert [each.name for each in tmp_path.iterdir()] == ["clip.mp4"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("frames", [4, 60])
def test_a_full_disk_raises_and_leaves_no_file(tmp_path: Path, small_disk, frames: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (frames, 48, 64, 3), np.uint8)
    told = r"clip\.mp4; it cannot be written \(File too large\)"
    with pytest.raises(MediaError, match=told), small_disk(8192):
        write_all(tmp_path / "clip.mp4", noise)

    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_created_raises_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(MediaError, match=r"out got .*clip\.mp4; it cannot be written"),
        VideoWriter(tmp_path / "file" / "clip.mp4", Size(64, 48), 30),
    ):
        pass


def test_the_writer_raises_for_invalid_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"out got 'clip\.avi'; video is written as \.mp4"):
        VideoWriter(tmp_path / "clip.avi", Size(64, 48), 30)
    with pytest.raises(InputError, match="fps got 0"):
        VideoWriter(tmp_path / "clip.mp4", Size(64, 48), 0)
    with (
        pytest.raises(InputError, match=r"frames got shape \(1, 8, 8, 3\)"),
        VideoWriter(tmp_path / "clip.mp4", Size(64, 48), 30) as writer,
    ):
        writer.write(np.zeros((8, 8, 3), np.uint8))
    with (
        pytest.raises(InputError, match="frames got none"),
        VideoWriter(tmp_path / "clip.mp4", Size(64, 48), 30),
    ):
        pass
    assert not list(tmp_path.iterdir())


def write_times(path: Path, times: Iterable[int]) -> None:
    """Write frames whose upper half is bright, at these multiples of 1/600 second."""
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:24] = 200
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.options = {"bf": "0"}
        video.codec_context.time_base = Fraction(1, 600)
        video.codec_context.colorspace = 6  # BT.601; else the report tells what was assumed
        for time in times:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = time, Fraction(1, 600)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))


def turn_by_metadata(path: Path) -> None:
    """Set the track's display matrix to a quarter turn clockwise."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    one = 1 << 16
    turned = struct.pack(">9i", 0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    data[matrix : matrix + len(turned)] = turned
    path.write_bytes(data)


def test_a_clip_is_rotated_according_to_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    write_times(path, range(0, 100, 20))
    turn_by_metadata(path)
    frames = list(frames_of(path))

    assert clip_info(path).size == Size(48, 64)
    assert {frame.shape for frame in frames} == {(64, 48, 3)}
    assert frames[0][:, 30:].mean() > 180  # the upper half is at the right now
    assert frames[0][:, :18].mean() < 20


def test_a_varying_frame_rate_is_reported_and_frames_come_at_their_time(tmp_path: Path) -> None:
    write_times(tmp_path / "even.mp4", range(0, 200, 20))
    write_times(tmp_path / "varying.mp4", [0, 20, 40, 100, 120, 200, 220, 300, 400, 420])
    even, varying = (clip_info(tmp_path / f"{name}.mp4") for name in ("even", "varying"))

    assert (even.fps, even.variable) == (30, False)
    assert varying.variable
    assert varying.fps == 30  # of the nearest two frames, so that none is left out
    assert varying.frames == len(list(frames_of(tmp_path / "varying.mp4"))) == 22


def test_a_clip_of_one_frame_has_a_frame_rate(tmp_path: Path) -> None:
    write_times(tmp_path / "one.mp4", [0])
    info = clip_info(tmp_path / "one.mp4")

    assert (info.frames, info.fps, info.variable) == (1, 30, False)


def test_remarks_list_a_varying_frame_rate_and_missing_frames(tmp_path: Path) -> None:
    write_times(tmp_path / "even.mp4", range(0, 100, 20))
    write_times(tmp_path / "varying.mp4", [0, 20, 100, 300])
    even, varying = (clip_info(tmp_path / f"{name}.mp4") for name in ("even", "varying"))

    assert even.remarks(5) == even.remarks(3, wanted=3) == ()
    assert "4 of 5 frames could be read" in even.remarks(4)[0]
    assert "frame rate of the file varies" in varying.remarks(4)[0]


def test_tags_in_another_code_do_not_stop_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "Zabcdef"
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for packet in (*stream.encode(av.VideoFrame(64, 48, "yuv420p")), *stream.encode(None)):
            out.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"Zabcdef", b"Zabc\xe9ef"))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    assert len(list(frames_of(path))) == 1


def test_a_size_that_the_codec_refuses_is_named() -> None:
    with pytest.raises(InputError, match=r"size got 100000x16; a side .* may have 16384 pixels"):
        VideoWriter("x.mp4", Size(100_000, 16), 30)


def test_damaged_moving_pictures_are_refused_in_words_or_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(frame_of(value)[::4, ::4]) for value in (0, 90, 180)]
    path = tmp_path / "dance.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    whole, refused = path.read_bytes(), 0
    for end in range(13, len(whole), 3):
        path.write_bytes(whole[:end])
        try:
            clip_info(path)
            list(frames_of(path))
        except MediaError as error:
            refused += "dance.gif; it cannot be decoded" in str(error)
    assert refused


def test_a_video_of_a_codec_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, 2)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(MediaError, match=r"clip\.mp4; it cannot be decoded .*its codec"):
        clip_info(path)


@pytest.mark.parametrize("read", [clip_info, lambda path: list(frames_of(path))])
def test_a_folder_with_pictures_of_two_sizes_is_refused_by_name(tmp_path, read):
    for number, size in enumerate([(8, 6), (8, 6), (6, 8)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    words = r"2\.png of 6x8, but its first picture 0\.png has 8x6"
    with pytest.raises(InputError, match=words):
        read(tmp_path)


def test_frames_whose_parts_a_decoder_guesses_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "clip.mp4"
    rng = np.random.default_rng(0)
    write_all(path, rng.integers(0, 255, (6, 48, 64, 3), np.uint8))
    whole = path.read_bytes()
    for start in range(1000, len(whole) - 1000, 777):  # until a fault is neither fatal nor unseen
        path.write_bytes(whole[:start] + bytes(20) + whole[start + 20 :])
        try:
            with av.open(str(path)) as container:
                damaged = sum(frame.is_corrupt for frame in container.decode(video=0))
        except av.FFmpegError:
            continue
        if damaged:
            break
    else:
        pytest.skip("this decoder guesses nothing")
    assert len(list(frames_of(path))) == 6
    assert f"clip.mp4: {damaged} frames are damaged" in caplog.text


def test_a_video_whose_frames_never_fit_into_memory_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(memory, "most_memory", lambda: 1_000_000)
    frame = np.zeros((64, 64, 3), np.uint8)
    with VideoWriter(tmp_path / "a.mp4", Size(64, 64), 30, expected=1000) as writer:
        writer.write(frame)
    with (
        pytest.raises(InputError, match=r"size got 128x128 pixels for a video of 1000 frames; .*"),
        VideoWriter(tmp_path / "b.mp4", Size(128, 128), 30, expected=1000),
    ):
        pass
    with VideoWriter(tmp_path / "b.mp4", Size(128, 64), 30, expected=40) as writer:
        writer.write(np.concatenate([frame, frame], axis=1))
