"""Training of the autoencoder: where it starts, and which part moves when."""

import torch

from animate_anyone.training.autoencoder import (
    AutoencoderTraining,
    build_autoencoder,
    refine_decoder,
    train_autoencoder,
    trained_autoencoder,
)

SHORT = AutoencoderTraining(steps=2, batch=2, crop=32, pictures=8, warm_up=1)


def test_the_encoder_starts_as_principal_components_of_patches():
    crops = torch.nn.functional.interpolate(torch.rand(64, 3, 8, 8), (32, 32), mode="bilinear")
    crops = crops * 2 - 1
    model = build_autoencoder(4, crops, torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents = model.encoder(crops)
    patches = ((crops + 1) / 2).unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5)
    patches = patches.flatten(3).flatten(0, 2)
    _, values, directions = torch.linalg.svd(patches - patches.mean(0), full_matrices=False)
    spread = values[:4] / len(patches) ** 0.5
    wanted = (patches - patches.mean(0)) @ directions[:4].T / spread
    ours = latents.permute(0, 2, 3, 1).flatten(0, 2)
    # Components are known up to their sign.
    torch.testing.assert_close(ours.abs(), wanted.abs(), atol=2e-3, rtol=2e-3)


def test_refining_moves_the_decoder_alone(tmp_path):
    whole = train_autoencoder(SHORT, tmp_path)
    before = {key: value.clone() for key, value in whole.items()}
    decoder = refine_decoder(SHORT, tmp_path)
    assert set(decoder) == {k.removeprefix("decoder.") for k in before if k.startswith("decoder.")}
    assert any(not torch.equal(v, before[f"decoder.{k}"]) for k, v in decoder.items())
    kept = trained_autoencoder(tmp_path).model.encoder.state_dict()
    assert all(torch.equal(value, before[f"encoder.{key}"]) for key, value in kept.items())


def test_a_finished_run_is_only_read_again(tmp_path):
    first = train_autoencoder(SHORT, tmp_path)
    again = train_autoencoder(SHORT, tmp_path)
    assert all(torch.equal(first[key], again[key]) for key in first)
