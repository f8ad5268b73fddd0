"""The steps of a network in order, so that a program in another language can compute it.

The page that segments photographs in the browser is made with it: the steps and the weights file
are all that it needs.
"""

from typing import Any, NamedTuple

import torch
from torch import fx, nn

from retina_course.models.blocks import check_input
from retina_course.models.folding import fold, unfold

Plan = list[dict[str, Any]]


class _Walk(NamedTuple):
    """What is known half-way: the steps, and the maps that each node stands for."""

    steps: Plan
    maps: dict[fx.Node, list[str]]


def layer_plan(model: nn.Module) -> Plan:
    """List the steps of a network in eval mode.

    ReLU, and batch norm without a ReLU between, belong to the convolution that they follow. A
    concatenation is not a step: the step that reads it has several maps in `from`.

    Parameters
    ----------
    model : nn.Module
        A network of convolutions and transposed convolutions that double height and width (kernels
        up to 3 x 3), 2 x 2 max-pooling, batch norm, ReLU, sums, concatenations, `fold`, `unfold`.

    Returns
    -------
    list of dict
        The steps in order. Each has `kind` ("conv", "transposed", "norm", "pool", "add", "fold" or
        "unfold"), `from` (names of the maps that it reads; "x" is the image) and `to` (the name of
        the map that it makes), and what its kind needs:
        `kernel`, `stride`, `padding`, `norm` (the name of the batch norm, or None), `eps`, `relu`,
        `channels` (of the output), `side` (of the folded blocks). The `to` of a convolution or a
        batch norm is also the name of its weights. The last step makes the logits.

    Raises
    ------
    ValueError
        The network has another layer, or one with other settings; it is named.

    Examples
    --------
    >>> from retina_course import UNetSmall
    >>> for step in layer_plan(UNetSmall())[-3:]:
    ...     print(step["kind"], step["from"], step["to"], step["channels"])
    transposed ['dec2.0'] upconv1 4
    conv ['upconv1', 'enc1.0'] dec1.0 16
    conv ['dec1.0'] conv 1
    """
    graph = fx.Tracer(autowrap_functions=(check_input, fold, unfold)).trace(model)
    modules = dict(model.named_modules())
    walk = _Walk([], {})
    for node in graph.nodes:
        if node.op == "placeholder":
            walk.maps[node] = ["x"]
        elif node.op == "call_function" and node.target is torch.cat:
            walk.maps[node] = [name for part in node.args[0] for name in walk.maps[part]]
        elif node.op == "call_module":
            _add_module(walk, node, modules[node.target])
        elif node.op == "call_function" and node.target is not check_input:
            _add_function(walk, node)
    return walk.steps


def _add_module(walk: _Walk, node: fx.Node, module: nn.Module) -> None:
    """Append the step of a layer, or add it to the step that it follows."""
    name = str(node.target)
    if isinstance(module, nn.BatchNorm2d):
        step = _last(walk, node, "norm")
        if step is None:
            _append(walk, node, "norm", name, eps=module.eps)
        else:
            step.update(norm=name, eps=module.eps)
    elif isinstance(module, nn.ReLU):
        step = _last(walk, node, "relu")
        if step is None:
            raise ValueError(f"A plan cannot have {name} where it stands.")
        step["relu"] = True
    elif isinstance(module, nn.MaxPool2d) and (module.kernel_size, module.stride) == (2, 2):
        _append(walk, node, "pool", name)
    elif type(module) is nn.Conv2d or (type(module) is nn.ConvTranspose2d and _doubles(module)):
        kind = "conv" if type(module) is nn.Conv2d else "transposed"
        _append(walk, node, kind, name, **_settings(module))
    else:
        raise ValueError(f"A plan cannot have the layer {name}: {module}.")


def _add_function(walk: _Walk, node: fx.Node) -> None:
    """Append the step of a function."""
    name = getattr(node.target, "__name__", str(node.target))
    if name == "add":
        _append(walk, node, "add", node.name, relu=False)
    elif node.target in (fold, unfold):
        _append(walk, node, name, node.name, side=node.args[1])
    else:
        raise ValueError(f"A plan cannot have the function {name}.")


def _append(walk: _Walk, node: fx.Node, kind: str, to: str, **settings: Any) -> None:
    """Append a step that reads the node's inputs."""
    read = [name for part in node.all_input_nodes for name in walk.maps[part]]
    walk.steps.append({"kind": kind, "from": read, "to": to, **settings})
    walk.maps[node] = [to]


def _last(walk: _Walk, node: fx.Node, key: str) -> dict[str, Any] | None:
    """The step that can take a batch norm or a ReLU; nothing else may read what is between."""
    before = node.all_input_nodes[0]
    step = walk.steps[-1] if walk.steps else {}
    alone = len(before.users) == 1 and walk.maps[before] == [step.get("to")]
    if not alone or step.get(key, 0) or step.get("relu") or key not in step:
        return None
    walk.maps[node] = walk.maps[before]
    return step


def _settings(layer: nn.Conv2d | nn.ConvTranspose2d) -> dict[str, Any]:
    """Kernel, stride and padding of a convolution, which are the same in both directions."""
    square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.kernel_size[0] <= 3
    if not (square and plain and int(layer.padding[0]) <= 1):
        raise ValueError(f"A plan cannot have {layer}.")
    return {
        "channels": layer.out_channels,
        "kernel": layer.kernel_size[0],
        "stride": layer.stride[0],
        "padding": int(layer.padding[0]),
        "norm": None,
        "eps": 0.0,
        "relu": False,
    }


def _doubles(layer: nn.ConvTranspose2d) -> bool:
    """Whether a transposed convolution makes 2H rows of H."""
    kernel, padding, more = layer.kernel_size[0], int(layer.padding[0]), layer.output_padding[0]
    return layer.stride == (2, 2) and kernel - 2 * padding + more == 2
