"""Runs guidance pairs of the public implementation; `benchmarks.against` starts it.

It runs in that implementation's own environment and imports nothing of this project but the
measurement of memory. Each line on its standard input runs one pair; the answer is a line of JSON.
"""

import json
import re
import sys
import time

import torch

from .peak_memory import peak_mb as process_peak_mb

REFERENCE_UNET = {
    "sample_size": 64,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": (*("CrossAttnDownBlock3D",) * 3, "DownBlock3D"),
    "up_block_types": ("UpBlock3D", *("CrossAttnUpBlock3D",) * 3),
    "mid_block_type": "UNetMidBlock3DCrossAttn",
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "use_inflated_groupnorm": True,
    "unet_use_cross_frame_attention": False,
    "unet_use_temporal_attention": False,
    "use_motion_module": True,
    "motion_module_resolutions": (1, 2, 4, 8),
    "motion_module_mid_block": True,
    "motion_module_decoder_only": False,
    "motion_module_type": "Vanilla",
    "motion_module_kwargs": {
        "num_attention_heads": 8,
        "num_transformer_block": 1,
        "attention_block_types": ("Temporal_Self", "Temporal_Self"),
        "temporal_position_encoding": True,
        "temporal_position_encoding_max_len": 32,
        "temporal_attention_dim_div": 1,
    },
}


def level_of(name: str, levels: int) -> int:
    """Return the level of a module of the UNet by its name; 0 is full resolution."""
    down, up = re.match(r"down_blocks\.(\d)", name), re.match(r"up_blocks\.(\d)", name)
    if down:
        return int(down[1])
    return levels - 1 - int(up[1]) if up else levels - 1


def main() -> None:
    """Build the network, then answer each line with the cost of a pair."""
    checkout, width, frames, rows, columns, device = sys.argv[1:7]
    width, frames, rows, columns = int(width), int(frames), int(rows), int(columns)
    sys.path.insert(0, checkout)
    from src.models.mutual_self_attention import ReferenceAttentionControl
    from src.models.unet_3d import UNet3DConditionModel

    dtype = torch.float32 if device == "cpu" else torch.float16
    widths = tuple(width * factor for factor in (1, 2, 4, 4))
    unet = UNet3DConditionModel(block_out_channels=widths, **REFERENCE_UNET)
    unet = unet.to(device, dtype).eval().requires_grad_(False)
    ReferenceAttentionControl(
        unet, do_classifier_free_guidance=True, mode="read", batch_size=1, fusion_blocks="full"
    )
    for name, module in unet.named_modules():
        if hasattr(module, "bank"):
            scale = 2 ** level_of(name, len(widths))
            places = -(-rows // scale) * -(-columns // scale)
            channels = module.norm1.normalized_shape[0]
            module.bank = [torch.randn(2, places, channels, device=device, dtype=dtype)]
    like = {"device": device, "dtype": dtype}
    latents = torch.randn(1, 4, frames, rows, columns, **like).repeat(2, 1, 1, 1, 1)
    pose = torch.randn(1, width, frames, rows, columns, **like).repeat(2, 1, 1, 1, 1)
    context = torch.cat([torch.zeros(1, 1, 768, **like), torch.randn(1, 1, 768, **like)])
    moment = torch.tensor(500, device=device)
    print(json.dumps({"ready": torch.__version__}), flush=True)
    for _ in sys.stdin:
        started = now(device)
        with torch.no_grad():
            unet(
                latents,
                moment,
                encoder_hidden_states=context,
                pose_cond_fea=pose,
                return_dict=False,
            )
        taken = now(device) - started
        print(json.dumps({"seconds": taken, "peak_mb": peak_mb(device)}), flush=True)


def now(device: str) -> float:
    """Return CPU seconds of this process; on a card the time when its work has ended."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def peak_mb(device: str) -> float:
    """Return the peak memory so far in MB, weights included."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    return process_peak_mb()


if __name__ == "__main__":
    main()
