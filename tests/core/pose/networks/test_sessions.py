import logging
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from core.pose import fake_models as fake

from animate_anyone.errors import AnimateAnyoneError, InputError, PackageError, WeightsError
from animate_anyone.pose.networks.detector import Detector
from animate_anyone.pose.networks.estimator import Estimator
from animate_anyone.pose.networks.onnx_file import read_header
from animate_anyone.pose.networks.sessions import SessionPool, open_session, run_batches
from animate_anyone.pose.people.extract import extract

CUDA = "CUDAExecutionProvider"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a small estimator for any batch size."""
    return fake.colour_estimator(tmp_path / "e.onnx", (64, 48))


@pytest.fixture
def cuda_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make onnxruntime offer CUDA; where it is not built in, sessions fall back to the CPU."""
    offered = [CUDA, "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)


@pytest.fixture
def cuda_breaks(monkeypatch: pytest.MonkeyPatch, cuda_offered: None) -> None:
    """Make CUDA load and report itself as in use, but fail at the first run."""

    class Breaking(onnxruntime.InferenceSession):
        def __init__(self, path, options, providers, enable_fallback):
            self.is_cuda = providers[0][0] == CUDA
            assert not self.is_cuda or providers[0][1] == {"cudnn_conv_algo_search": "HEURISTIC"}
            super().__init__(path, options, providers=["CPUExecutionProvider"])

        def get_providers(self):
            return [CUDA] if self.is_cuda else ["CPUExecutionProvider"]

        def run(self, *arguments):
            if self.is_cuda:
                raise RuntimeError("no kernel image is available\nand a page of details")
            return super().run(*arguments)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Breaking)


@pytest.mark.parametrize("batch", [1, 5, "batch"])
def test_the_header_lists_inputs_and_outputs(tmp_path: Path, batch: int | str) -> None:
    path = fake.colour_estimator(tmp_path / "e.onnx", (64, 48), batch)
    header = read_header(path)
    side = batch if isinstance(batch, int) else None

    assert [(a.name, a.dtype, a.shape) for a in header.inputs] == [
        ("input", np.float32, (side, 3, 64, 48))
    ]
    assert [(a.name, a.shape) for a in header.outputs] == [
        ("simcc_x", (side, 133, 96)),
        ("simcc_y", (side, 133, 128)),
    ]


def test_kind_does_not_depend_on_names(tmp_path: Path, model: Path) -> None:
    renamed = tmp_path / "yolox_l.onnx"
    model.rename(renamed)

    assert read_header(renamed).kind == "estimator"
    assert read_header(fake.seeking_detector(tmp_path / "pose.onnx")).kind == "detector"


def test_the_kind_is_recognised_without_fixed_shapes(model: Path) -> None:
    network = onnx.load(str(model))
    for output in network.graph.output:
        for side in output.type.tensor_type.shape.dim:
            side.dim_param = "any"
    onnx.save(network, str(model))
    assert read_header(model).kind == "estimator"

    for output in network.graph.output:
        output.type.tensor_type.ClearField("shape")
    onnx.save(network, str(model))
    assert read_header(model).kind == "estimator"


def test_a_network_of_another_kind_raises(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    arrays = [fake.array("a", [1, 7])], [fake.array("b", [1, 7])]
    path = fake.save(tmp_path / "other.onnx", [node], *arrays)

    with pytest.raises(WeightsError, match=r"detector got other\.onnx \(a \(1, 7\) -> b \(1, 7\)"):
        Detector(open_session(path))
    with pytest.raises(WeightsError, match=r"estimator got other\.onnx .* choose a file of DWPose"):
        Estimator(open_session(path))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_raises(model: Path, share: float) -> None:
    data = model.read_bytes()
    model.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(WeightsError, match=r"e\.onnx; it is not a complete ONNX file.*again"):
        open_session(model)


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        b"PK\x03\x04" + bytes(60),
        bytes(range(8, 200)),
        b"\x08\x07",
    ],
)
def test_a_file_of_another_format_raises(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)

    with pytest.raises(WeightsError, match=r"x\.onnx; it is not a complete ONNX file"):
        open_session(path)


def test_a_missing_file_raises_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.onnx; cannot read it"):
        open_session(tmp_path / "gone.onnx")
    with pytest.raises(WeightsError, match=r"gone\.onnx; cannot read it"):
        SessionPool().get(tmp_path / "gone.onnx")


def test_a_network_that_cannot_be_loaded_raises(model: Path) -> None:
    network = onnx.load(str(model))
    network.graph.node[0].op_type = "Convolve"
    onnx.save(network, str(model))

    with pytest.raises(WeightsError, match=r"e\.onnx; onnxruntime cannot load it: .*Convolve"):
        open_session(model)


@pytest.mark.parametrize(("wrong", "hint"), [("cdua", "cuda"), ("tensor", "tensorrt")])
def test_an_unknown_provider_raises_with_the_nearest_name(
    model: Path, wrong: str, hint: str
) -> None:
    with pytest.raises(InputError, match=f"provider got '{wrong}'.*did you mean {hint}"):
        open_session(model, wrong)


@pytest.mark.parametrize(
    ("provider", "wheel"),
    [
        ("cuda", "onnxruntime-gpu"),
        ("directml", "onnxruntime-directml"),
        ("coreml", "macOS"),
    ],
)
def test_a_provider_that_is_not_built_in_raises_with_its_wheel(
    model: Path, monkeypatch: pytest.MonkeyPatch, provider: str, wheel: str
) -> None:
    only = ["CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: only)

    with pytest.raises(PackageError, match=f"provider got '{provider}'.*has cpu.*{wheel}.*auto"):
        open_session(model, provider)


def test_tensorrt_needs_a_folder(model: Path) -> None:
    with pytest.raises(InputError, match="engine_cache got None"):
        open_session(model, "tensorrt")


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="CUDA is built in")
def test_a_fallback_of_onnxruntime_raises_or_gives_a_note(model: Path, cuda_offered: None) -> None:
    with pytest.raises(PackageError, match=r"provider got 'cuda'.*fell back to cpu"):
        open_session(model, "cuda")

    session = open_session(model)
    assert session.provider == "cpu"
    assert "does not run on cuda: onnxruntime fell back to cpu" in session.notes[0]


def test_auto_replaces_a_failing_provider_by_the_cpu_with_a_note(
    tmp_path: Path, cuda_breaks: None, caplog: pytest.LogCaptureFixture
) -> None:
    detector = Detector(open_session(fake.seeking_detector(tmp_path / "d.onnx")))
    estimator = Estimator(open_session(fake.colour_estimator(tmp_path / "e.onnx", (64, 48))))
    _, report = extract([np.zeros((32, 32, 3), np.uint8)], detector, estimator)

    assert (report.detector_provider, report.estimator_provider) == ("cpu", "cpu")
    assert report.notes[0] == "d.onnx does not run on cuda: no kernel image is available"
    assert report.notes[0] in report.text()
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert report.notes[0] in warnings


def test_a_failing_provider_chosen_by_name_raises(model: Path, cuda_breaks: None) -> None:
    with pytest.raises(PackageError, match=r"'cuda'; it does not run here: no kernel image.*auto"):
        open_session(model, "cuda")


@pytest.mark.parametrize("batch", [1, 2, "batch"])
def test_every_run_has_the_same_batch_size(tmp_path: Path, batch: int | str) -> None:
    session = open_session(fake.colour_estimator(tmp_path / "e.onnx", (64, 48), batch))
    sizes, run = [], session.run
    session.run = lambda tensor: sizes.append(len(tensor)) or run(tensor)
    outputs = list(run_batches(session, lambda _: np.zeros((3, 64, 48), np.float32), range(5), 4))

    assert sum(len(xs) for xs, _ in outputs) == 5
    assert set(sizes) == {4 if batch == "batch" else batch}


def test_a_closed_session_loads_itself_again(model: Path) -> None:
    session = open_session(model)
    tensor = np.random.default_rng(0).normal(size=(1, 3, 64, 48))
    before = session.run(tensor)
    session.close()

    assert all(map(np.array_equal, session.run(tensor), before))


def test_a_failing_run_raises_with_file_and_shape(model: Path) -> None:
    with pytest.raises(AnimateAnyoneError, match=r"e\.onnx got an array of \(1, 3, 9, 9\)"):
        open_session(model).run(np.zeros((1, 3, 9, 9)))


def test_a_pool_shares_sessions_until_released_or_changed(tmp_path: Path, model: Path) -> None:
    pool = SessionPool()
    first = pool.get(model)
    assert pool.get(model) is first
    assert pool.get(model, "cpu") is not first

    fake.colour_estimator(model, (96, 72))
    second = pool.get(model)
    assert second.input_shape == (None, 3, 96, 72)

    pool.release()
    assert pool.get(model) is not second


@pytest.fixture
def no_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide onnxruntime."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)


def test_without_onnxruntime_opencv_runs_with_a_note(
    tmp_path: Path, no_onnxruntime: None, caplog: pytest.LogCaptureFixture
) -> None:
    rows = fake.raw_rows([(80, 80, 60, 100, 0.9, 0.9, 0, 16)], (160, 160))
    detector = Detector(open_session(fake.fixed_detector(tmp_path / "d.onnx", rows)))
    estimator = Estimator(open_session(fake.colour_estimator(tmp_path / "e.onnx", batch=1)))
    frame = fake.picture((160, 160), {0: (80, 60), 5: (95, 90)})
    clip, report = extract([frame] * 2, detector, estimator)

    assert (report.detector_provider, report.estimator_provider) == ("opencv", "opencv")
    assert np.abs(clip.body.xy[:, 0, [0, 5]] - [(80, 60), (95, 90)]).max() < 1
    assert len(report.notes) == 1
    assert "onnxruntime is not installed" in report.text()
    assert "onnxruntime is not installed" in caplog.text


def test_without_onnxruntime_choosing_a_gpu_raises(model: Path, no_onnxruntime: None) -> None:
    with pytest.raises(PackageError, match=r"'cuda'.*not installed.*onnxruntime-gpu"):
        open_session(model, "cuda")
