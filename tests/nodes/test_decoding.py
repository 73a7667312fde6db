"""Decoding: pictures and video files, streamed, with the driving clip's speed and sound."""

import errno
from datetime import datetime
from fractions import Fraction

import av
import numpy as np
import pytest
import torch


@pytest.fixture
def latent():
    """Return a LATENT of seven frames."""
    return {"samples": torch.randn(7, 4, 6, 5)}


@pytest.fixture
def decode(run_node, load, latent):
    """Return a function that runs Decode to Video."""

    def run(driving=None, prefix="folder/clip", vae=None, **more):
        vae = vae or load().vae
        options = {"fps": 30.0, "filename_prefix": prefix, "chunk": 3, "driving": driving}
        return run_node("DecodeToVideo", latent=latent, vae=vae, **options, **more)

    return run


def test_chunks_do_not_change_the_pictures(run_node, load, latent):
    vae = load().vae
    pictures = [run_node("DecodeFrames", latent=latent, vae=vae, chunk=n) for n in (1, 3, 100)]
    assert pictures[0].shape == (7, 48, 40, 3)
    assert torch.allclose(pictures[0], pictures[1], atol=1e-5)
    assert torch.allclose(pictures[0], pictures[2], atol=1e-5)


def test_on_a_cpu_calls_hold_little_and_lie_by_places(run_node, load, monkeypatch):
    vae, seen = load().vae, []
    whole = vae.decode

    def decode(part):
        seen.append(part)
        return whole(part)

    monkeypatch.setattr(vae, "decode", decode)
    latent = {"samples": torch.randn(5, 4, 16, 16)}
    pictures = run_node("DecodeFrames", latent=latent, vae=vae, chunk=8)
    assert [len(part) for part in seen] == [4, 1]
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in seen)
    assert torch.allclose(pictures[3:], whole(latent["samples"][3:]), atol=1e-5)


def test_video_holds_the_decoded_frames(decode, run_node, load, latent, base):
    video = decode()
    pictures = run_node("DecodeFrames", latent=latent, vae=load().vae, chunk=8)
    components = video.get_components()
    assert components.images.shape == pictures.shape
    assert components.frame_rate == 30
    assert (components.images - pictures).abs().mean() < 0.1, "but for the loss of compression"
    assert (base / "output/folder").is_dir()


def test_a_foreground_mask_makes_the_video_transparent(decode):
    mask = torch.zeros(7, 48, 40)
    for frame in range(7):
        mask[frame, :, : 8 + frame] = 1
    path = decode(prefix="clear/clip", format="mov", foreground_mask=mask).get_stream_source()
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
    assert len(pictures) == 7
    for picture, wanted in zip(pictures, mask.numpy(), strict=True):
        assert np.abs(picture[..., 3] / 255 - wanted).max() < 0.02
    path = decode(prefix="clear/clip", format="webm", foreground_mask=mask[:1]).get_stream_source()
    with av.open(str(path)) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"


def test_a_mask_that_does_not_fit_is_refused_by_name(decode):
    with pytest.raises(ValueError, match=r"foreground_mask got a mask, but format is mp4, which"):
        decode(foreground_mask=torch.ones(7, 48, 40))
    with pytest.raises(
        ValueError, match=r"foreground_mask got shape \(7, 48, 32\); the clip needs"
    ):
        decode(format="webm", foreground_mask=torch.ones(7, 48, 32))
    with pytest.raises(
        ValueError, match=r"foreground_mask got shape \(3, 48, 40\); the clip needs"
    ):
        decode(format="webm", foreground_mask=torch.ones(3, 48, 40))


@pytest.fixture
def driving(base):
    """Write a clip of 12.5 frames per second with sound, and return it as a VIDEO."""
    from comfy_api.input_impl import VideoFromFile

    path = base / "input" / "driving.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=Fraction(25, 2))
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=44100)
        for _ in range(7):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        samples = np.sin(np.arange(44100) / 20).astype(np.float32)[None, :24000]
        tone = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        tone.sample_rate = 44100
        container.mux(sound.encode(tone))
        container.mux(sound.encode())
    return VideoFromFile(str(path))


def test_speed_and_sound_of_the_driving_clip_are_kept(decode, driving):
    components = decode(driving).get_components()
    assert components.frame_rate == Fraction(25, 2)
    assert components.audio["waveform"].abs().max() > 0.3
    assert len(components.images) == 7


def test_a_driving_clip_in_memory_works_too(decode, driving):
    from comfy_api.input_impl import VideoFromComponents

    components = decode(VideoFromComponents(driving.get_components())).get_components()
    assert components.frame_rate == Fraction(25, 2)
    assert components.audio is not None


def test_a_full_disk_leaves_no_half_file(decode, base, monkeypatch, core):
    writer = core("media.writer").VideoWriter
    write = writer.write

    def fill(self, frames):
        write(self, frames)
        raise core("errors").MediaError("out got x; it cannot be written (No space left).")

    monkeypatch.setattr(writer, "write", fill)
    with pytest.raises(Exception, match="No space left"):
        decode(prefix="full/clip")
    assert not list((base / "output/full").iterdir())


def test_an_unwritable_place_is_named(decode, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(Exception, match=r"out got .*clip.*No space left on device.*Free some"):
        decode(prefix="place/clip")


def test_interrupt_while_decoding_leaves_no_file(decode, base, load, monkeypatch):
    import comfy.model_management as management

    vae = load().vae
    whole = vae.decode

    def interrupted(samples, *args):
        management.interrupt_current_processing(True)
        return whole(samples, *args)

    monkeypatch.setattr(vae, "decode", interrupted)
    with pytest.raises(management.InterruptProcessingException):
        decode(prefix="stopped/clip", vae=vae)
    assert not list((base / "output/stopped").iterdir())


UNFIT = {
    "5-D": (torch.zeros(1, 4, 3, 2, 2), r"latent got shape \(1, 4, 3, 2, 2\); it must be frames"),
    "3-D": (torch.zeros(4, 2, 2), r"latent got shape \(4, 2, 2\); it must be frames"),
    "empty": (torch.zeros(0, 4, 2, 2), r"latent got shape \(0, 4, 2, 2\); .*none of them 0"),
    "channels": (torch.zeros(1, 16, 2, 2), "latent got 16 channels; the VAE decodes 4"),
    "NaN": (torch.full((1, 4, 2, 2), torch.nan), "latent got NaN or infinite values"),
}


@pytest.mark.parametrize(("samples", "words"), UNFIT.values(), ids=UNFIT)
def test_latents_of_another_kind_are_refused(run_node, load, base, samples, words):
    latent, vae = {"samples": samples}, load().vae
    with pytest.raises(ValueError, match=words):
        run_node("DecodeFrames", latent=latent, vae=vae, chunk=8)
    options = {"fps": 30.0, "filename_prefix": "unfit/clip", "chunk": 8}
    with pytest.raises(ValueError, match=words):
        run_node("DecodeToVideo", latent=latent, vae=vae, **options)
    assert not (base / "output/unfit").exists()


def test_a_date_in_the_prefix_is_replaced_as_by_the_page(pack):
    folders = pack("nodes.comfyui.folders")
    moment = datetime(2026, 3, 7, 15, 4, 9)
    written = folders.formatted_date("yyyy-MM-dd yy-M-d hh:mm:ss h.m.s yyy of", moment)
    assert written == "2026-03-07 26-3-7 15:04:09 15.4.9 yyy of"
    path, subfolder = folders.output_path("%date:yyyy%/at_%date:MM%_%width%", ".mp4", 64, 48)
    now = datetime.now()
    assert subfolder == str(now.year)
    assert path.name == f"at_{now.month:02}_64_00001_.mp4"
