"""DWPose: the detector and estimator that made the skeletons for the public weights."""

from .record import HubFile, WeightSet

_HUB = "yzd-v/DWPose"
_REVISION = "1a7144101628d69ee7a3768d1ee3a094070dc388"

SET = WeightSet(
    name="dwpose",
    title="DWPose",
    licence="Apache-2.0 (YOLOX, DWPose)",
    source="hub",
    files=(
        HubFile(
            role="detector",
            repository=_HUB,
            path="yolox_l.onnx",
            to="yolox_l.onnx",
            revision=_REVISION,
            size=216_746_733,
            sha256="7860ae79de6c89a3c1eb72ae9a2756c0ccfbe04b7791bb5880afabd97855a411",
            shared_name="yolox_l.onnx",
        ),
        HubFile(
            role="estimator",
            repository=_HUB,
            path="dw-ll_ucoco_384.onnx",
            to="dw-ll_ucoco_384.onnx",
            revision=_REVISION,
            size=134_399_116,
            sha256="724f4ff2439ed61afb86fb8a1951ec39c6220682803b4a8bd4f598cd913b1843",
            shared_name="dw-ll_ucoco_384.onnx",
        ),
    ),
)
