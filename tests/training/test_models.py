"""What every preset must be able to do: one class, run for each of them but those that are only wider than another."""

import numpy as np
import pytest
import torch

from cookseg.export import convert, quantize, targets
from cookseg.export.check import open_session
from cookseg.runtime.model.contract import COOKING, Contract, Preprocessing
from cookseg.runtime.scoring.dataset import Sample
from cookseg.training.config import TrainConfig
from cookseg.training.loss import SegmentationLoss
from cookseg.training.models import PRESETS, build
from cookseg.training.trainer import Trainer

ODD = Preprocessing(height=45, width=70)  # no multiple of any stride


def seeded(model, spec=ODD, classes=3):
    torch.manual_seed(0)
    network = build(PRESETS[model], classes, spec)
    for module in network.modules():  # as after training: with the initial ones an error in a norm would not show
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def frames(count, height=ODD.height, width=ODD.width):
    """Coarse noise: there is something to see at every scale."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)[:, :height, :width].copy()


WIDER = {"edge-m", "edge-l", "lite-l"}  # than edge-s and lite-m; a network of each would cost a minute


@pytest.fixture(scope="class", params=[name for name in PRESETS if name not in WIDER])
def model(request):
    return request.param


@pytest.fixture(scope="class")
def converted(model):
    return convert.to_onnx(seeded(model), Contract(COOKING, ODD))


class TestEveryModel:
    @pytest.mark.parametrize("size", [(1, 1), (16, 16), (37, 53), (64, 1)])
    @pytest.mark.parametrize("classes", [2, 11])
    def test_logits_have_the_size_of_the_frame(self, model, size, classes):
        with torch.inference_mode():
            logits = seeded(model, classes=classes)(torch.from_numpy(frames(2, *size)))
        assert logits.shape == (2, classes, *size)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()

    def test_a_frame_does_not_depend_on_the_others_in_its_batch(self, model):
        network, batch = seeded(model), torch.from_numpy(frames(3))
        with torch.inference_mode():
            torch.testing.assert_close(network(batch)[1:2], network(batch[1:2]), rtol=1e-4, atol=1e-4)

    def test_every_weight_learns(self, model):
        network = seeded(model).train()
        truth = torch.from_numpy(frames(2)[..., 0] % 3).long()
        SegmentationLoss(torch.ones(3))(network(torch.from_numpy(frames(2))), truth).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name

    def test_the_same_seed_gives_the_same_weights(self, model):
        config = TrainConfig(model=model, batch=2, epochs=2, preprocessing=ODD, precision="float32")
        samples = [Sample(frame, frame[..., 0] % 3, 0) for frame in frames(2)]
        runs = []
        for _ in range(2):
            trainer = Trainer(config, Contract(COOKING, ODD), samples, [], "cpu")
            losses = [trainer.step(*batch, 1e-3) for batch in trainer.batches(range(1), 0)]
            runs.append((losses, trainer.network.state_dict()))
        assert runs[0][0] == runs[1][0]
        assert all(torch.equal(a, b) for a, b in zip(runs[0][1].values(), runs[1][1].values(), strict=True))

    def test_its_export_answers_as_it_does(self, model, converted):
        network, batch = seeded(model), frames(2)
        session = open_session(converted)
        classes, logits = session.run(["classes", "logits"], {"frames": batch})
        with torch.inference_mode():
            expected = network(torch.from_numpy(batch)).log_softmax(1)
        torch.testing.assert_close(torch.from_numpy(logits).log_softmax(1), expected, rtol=0, atol=1e-3)
        assert np.array_equal(classes, logits.argmax(1))

    def test_all_of_it_can_be_computed_in_int8(self, converted):
        onnx_model = convert.simplify(converted)
        quantizer = quantize.Quantizer(onnx_model, frames(4), targets.TARGETS["x86"])
        quantized = quantizer.quantized(quantizer.ranges("minmax"))
        makers = {output: node.op_type for node in quantized.graph.node for output in node.output}
        layers = [node for node in quantized.graph.node if node.op_type in {"Conv", "ConvTranspose"}]
        assert len(layers) >= len(quantizer.layers) > 10
        assert all(makers[name] == "DequantizeLinear" for node in layers for name in node.input[:2] if name in makers)
        spread = float(quantizer._expected.std())
        assert 0 < quantizer.error(quantized) < 0.1 * spread
