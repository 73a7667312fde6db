"""Compare: the parts in its picture and in the video that the page plays."""

import av
import pytest
import torch

FRAMES = 5


def plain(colour, frames=FRAMES, height=48, width=40):
    """Return an IMAGE of one colour."""
    return torch.tensor(colour).expand(frames, height, width, 3).clone()


RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


@pytest.fixture
def compare(run_node):
    """Return a function that runs Compare; it returns the picture and the answer to the page."""
    node = run_node.nodes["AnimateAnyone_Compare"]

    def run(result, fps=12.0, **others):
        answer = node.execute(result=result, fps=fps, **others)
        (shown,) = answer.ui["aa_compare"]
        return answer.args[0], shown

    return run


def decoded(shown):
    """Return the frames and the speed of the video for the page."""
    import folder_paths

    root = folder_paths.get_temp_directory()
    with av.open(f"{root}/{shown['subfolder']}/{shown['filename']}") as video:
        stream = video.streams.video[0]
        pictures = (frame.to_ndarray(format="rgb24") for frame in video.decode(stream))
        frames = [torch.from_numpy(picture) for picture in pictures]
        return torch.stack(frames) / 255, stream.average_rate


def test_parts_stand_next_to_each_other(compare):
    reference = plain(RED, frames=1, height=96, width=60)
    image, shown = compare(plain(BLUE), other=plain(GREEN), reference=reference, fps=10.0)
    assert image.shape == (FRAMES, 48, 30 + 40 + 40, 3)
    assert [(part["title"], part["left"], part["width"]) for part in shown["parts"]] == [
        ("reference", 0, 30),
        ("other", 30, 40),
        ("result", 70, 40),
    ]
    for part, colour in zip(shown["parts"], (RED, GREEN, BLUE), strict=True):
        columns = image[:, :, part["left"] : part["left"] + part["width"]]
        assert torch.allclose(columns, torch.tensor(colour), atol=0.01)
    assert (shown["fps"], shown["frames"], shown["height"], shown["width"]) == (10.0, 5, 48, 110)
    assert shown["type"] == "temp"


def test_the_video_is_the_picture(compare):
    torch.manual_seed(0)
    result = plain(BLUE) * torch.rand(FRAMES, 1, 1, 1)
    image, shown = compare(result, other=plain(GREEN))
    frames, rate = decoded(shown)
    assert frames.shape == image.shape
    assert (frames - image).abs().max() < 0.04
    assert rate == 12


def test_the_result_alone_is_enough(compare):
    result = plain(BLUE)
    image, shown = compare(result)
    assert torch.equal(image, result)
    assert [part["title"] for part in shown["parts"]] == ["result"]


def test_another_size_is_fitted_to_the_results(compare):
    image, _ = compare(plain(BLUE), other=plain(GREEN, height=24, width=24))
    assert image.shape == (FRAMES, 48, 80, 3)
    assert torch.allclose(image[:, :, :40], torch.tensor(GREEN), atol=0.01)


def test_odd_sizes_become_even(compare):
    image, shown = compare(plain(BLUE, height=47, width=39), reference=plain(RED, 1, 47, 33))
    assert image.shape[1:3] == (48, shown["width"])
    assert all(part["width"] % 2 == 0 for part in shown["parts"])
    assert decoded(shown)[0].shape == image.shape


def test_a_single_picture_is_repeated(compare):
    image, _ = compare(plain(BLUE), other=plain(GREEN, frames=1))
    assert torch.equal(image[0], image[-1])


@pytest.mark.parametrize("name", ["other", "reference"])
def test_differing_lengths_are_refused(compare, name):
    with pytest.raises(ValueError, match=f"{name} got 3 frames and result 5; each frame needs"):
        compare(plain(BLUE), **{name: plain(GREEN, frames=3)})


def test_bad_pictures_and_speeds_are_refused(compare):
    with pytest.raises(ValueError, match="result got NaN"):
        compare(plain(BLUE) * float("nan"))
    with pytest.raises(ValueError, match="other got a picture of shape"):
        compare(plain(BLUE), other=torch.zeros(FRAMES, 8, 8, 2))
    with pytest.raises(ValueError, match=r"fps got 0\.5; it must be a number from"):
        compare(plain(BLUE), fps=0.5)
