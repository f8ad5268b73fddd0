"""WNet: two stages, the formula of its blocks, and the loss that both stages have."""

import pytest
import torch
import torch.nn.functional as F
from model_contract import ModelContract
from reference_networks import fill, noise

from retina_course import CrossEntropyLoss, DiceCELoss, create_model, fit, shapes
from retina_course.training import set_head_bias


class TestWNet(ModelContract):
    name = "w_net"
    table, table_size = "w_net_1cls_3x512x512", (1, 3, 512, 512)
    counts = [({}, 68_482), ({"in_channels": 1}, 68_162), ({"num_classes": 2}, 68_580)]
    joins = [(f"stage{i}.dec{j}.up", f"stage{i}.dec{j}") for i in (1, 2) for j in (1, 2)]


def test_the_rows_have_the_documented_names():
    documented = shapes.read("w_net_1cls_3x512x512")
    assert shapes.trace(create_model("w_net"), (1, 3, 512, 512)) == documented


class Plain:
    """The network by plain calls of torch.nn.functional, with the tensors of a state dict."""

    def __init__(self, state, training):
        # A copy: batch norm in training mode changes the running statistics.
        self.state = {name: value.clone() for name, value in state.items()}
        self.training = training

    def conv(self, x, name, padding):
        weight, bias = self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        return F.conv2d(x, weight, bias, padding=padding)

    def norm(self, x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self.state[f"{name}.{part}"] for part in parts), self.training)

    def conv_relu_norm(self, x, name, first):
        return self.norm(F.relu(self.conv(x, f"{name}.{first}", 1)), f"{name}.{first + 2}")

    def residual(self, x, name):
        y = self.conv_relu_norm(self.conv_relu_norm(x, name, 0), name, 3)
        return y + self.norm(self.conv(x, f"{name}.shortcut.0", 0), f"{name}.shortcut.1")

    def up(self, x, link, name):
        weight, bias = self.state[f"{name}.up.weight"], self.state[f"{name}.up.bias"]
        larger = F.conv_transpose2d(x, weight, bias, stride=2)
        bridge = self.conv_relu_norm(link, f"{name}.bridge", 0)
        return self.residual(torch.cat([larger, bridge], dim=1), name)

    def stage(self, x, name):
        e1 = self.residual(x, f"{name}.enc1")
        e2 = self.residual(F.max_pool2d(e1, 2), f"{name}.enc2")
        e3 = self.residual(F.max_pool2d(e2, 2), f"{name}.enc3")
        d1 = self.up(self.up(e3, e2, f"{name}.dec2"), e1, f"{name}.dec1")
        return self.conv(d1, f"{name}.head", 0)

    def both(self, x):
        first = self.stage(x, "stage1")
        return first, self.stage(torch.cat([x, first], dim=1), "stage2")


@pytest.mark.parametrize("classes", [1, 3])
def test_it_is_its_formula_in_both_modes(classes):
    model = fill(create_model("w_net", in_channels=2, num_classes=classes)).double()
    x = noise("x", 2, 2, 12, 20)
    expected = Plain(model.state_dict(), training=False).both(x)
    torch.testing.assert_close(model.eval()(x), expected[1])
    reference = Plain(model.state_dict(), training=True)
    torch.testing.assert_close(model.train()(x), reference.both(x))
    running = {name: v for name, v in model.state_dict().items() if "running" in name}
    torch.testing.assert_close(running, {name: reference.state[name] for name in running})


def batch(generator):
    images = torch.rand(2, 3, 16, 16, generator=generator)
    return images, (images[:, :1] > 0.7).float()


@pytest.mark.parametrize("loss", [CrossEntropyLoss(), None])
def test_the_loss_is_the_sum_of_both_stages(loss):
    model, seen = fill(create_model("w_net")), []
    reference = Plain(model.state_dict(), training=True)

    def sample(generator):
        seen.append(batch(generator))
        return seen[-1]

    history = fit(model, sample, 1, loss=loss, progress=False)
    images, targets = seen[0]
    first, second = ((loss or DiceCELoss())(logits, targets) for logits in reference.both(images))
    assert abs(first - second) > 0.01
    assert history.loss[0] == pytest.approx((first + second).item(), rel=1e-5)


def test_cross_entropies_are_added_pixel_for_pixel():
    """The published loss, computed by hand: -log of the probability of each pixel's class."""
    model = fill(create_model("w_net"))
    images, targets = batch(torch.Generator().manual_seed(0))
    by_hand = 0.0
    for logits in Plain(model.state_dict(), training=True).both(images):
        p = logits.double().sigmoid()
        by_hand -= torch.where(targets == 1, p, 1 - p).log().mean().item()
    loss = CrossEntropyLoss()
    history = fit(model, lambda generator: (images, targets), 1, loss=loss, progress=False)
    assert history.loss[0] == pytest.approx(by_hand, rel=1e-5)


def test_stage_1_learns_from_its_own_loss_too():
    model = create_model("w_net")
    first, second = model(batch(torch.Generator())[0])
    first.sum().backward()
    assert all(p.grad is None for p in model.stage2.parameters())
    model.zero_grad()
    first, second = model(batch(torch.Generator())[0])
    second.square().sum().backward()
    assert model.stage1.head.weight.grad.any()  # and from stage 2's: the logits are not detached


def test_both_heads_start_at_the_share_of_vessels():
    model = create_model("w_net")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    set_head_bias(model, 0.1)
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"stage1.head.bias", "stage2.head.bias"}
    assert [after[name].sigmoid().item() for name in changed] == pytest.approx([0.1, 0.1])


def test_it_learns_a_little_task():
    torch.manual_seed(0)
    model = create_model("w_net")
    set_head_bias(model, 0.3)
    history = fit(model, batch, 60, progress=False)
    assert sum(history.loss[-10:]) < 0.5 * sum(history.loss[:10])
    images, targets = batch(torch.Generator().manual_seed(9))
    with torch.no_grad():
        found = model(images) > 0
    assert (found == targets.bool()).float().mean() > 0.9


def test_a_loss_says_what_to_do_with_the_logits_of_two_stages():
    images, targets = batch(torch.Generator())
    with pytest.raises(TypeError, match="got tuple.*WNet.*add up"):
        DiceCELoss()(create_model("w_net")(images), targets)
