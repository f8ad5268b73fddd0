"""Networks of MONAI and segmentation_models_pytorch, with our weights where their layers fit."""

import copy
import importlib.util
import sys
import types
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from unittest.mock import MagicMock

from torch import Tensor, nn

PLAIN, LAST, FOLDED, BOTH, COMPILED = FORMATS = (
    "contiguous",
    "channels_last",
    "folded",
    "folded, channels_last",
    "folded, channels_last, compiled",
)


@dataclass
class Network:
    """A network to time; `layers` is "equal" where weights of ours give the same output."""

    owner: str
    name: str
    model: nn.Module
    layers: str
    formats: tuple[str, ...]


class Last(nn.Module):
    """An encoder's deepest map; all maps are computed."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)[-1]


class Stub(types.ModuleType):
    """A module whose every name is an empty class, and its own finder and loader."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        enum = name == "InterpolationMode"  # its members are read at import
        return MagicMock() if enum else type(name, (nn.Module,), {})

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        ours = name.split(".")[0] == "torchvision"
        return ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return Stub(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def monai_networks(ours: nn.Module) -> tuple[dict, list[Network]]:
    try:
        from monai.networks.nets.basic_unet import BasicUNet, UpCat
    except Exception as error:
        return {"available": False, "reason": repr(error)}, []
    options = {"act": "relu", "norm": "batch", "dropout": 0.0, "upsample": "deconv"}
    stock = BasicUNet(2, 3, 2, features=(64, 128, 256, 512, 1024, 64), **options)
    equal = copy.deepcopy(stock)
    equal.upcat_1 = UpCat(2, 128, 64, 64, bias=True, halves=True, **options)
    copy_in_order(ours, equal)
    for part in (equal.upcat_4, equal.upcat_3, equal.upcat_2, equal.upcat_1):
        weight = part.convs.conv_0.conv.weight.data  # MONAI puts the skip first, ours last
        weight.copy_(weight.roll(weight.shape[1] // 2, 1))
    note = (
        "As published, the last transposed convolution keeps its 128 channels, ours halves them. "
        "'equal layers' is BasicUNet with MONAI's own block UpCat(halves=True) there."
    )
    everything = (PLAIN, LAST, BOTH, COMPILED)
    return {"available": True, "version": version("monai"), "note": note}, [
        Network("MONAI", "BasicUNet, equal layers", equal, "equal", everything),
        Network("MONAI", "BasicUNet", stock, "a wider last level", (PLAIN, LAST)),
    ]


def smp_networks(encoder: nn.Module) -> tuple[dict, Network | None, Network | None]:
    real = importlib.util.find_spec("torchvision") is not None
    finder = Stub("finder")
    try:
        if not real:
            sys.meta_path.append(finder)
        import segmentation_models_pytorch as smp

        name = "resnet18" if real else "tu-resnet18"
        model = smp.Linknet(name, encoder_weights=None, in_channels=3, classes=2)
    except Exception as error:
        return {"available": False, "reason": repr(error)}, None, None
    finally:
        if not real:
            sys.meta_path.remove(finder)
            for key in [key for key in sys.modules if key.split(".")[0] == "torchvision"]:
                del sys.modules[key]
    alone = copy.deepcopy(model.encoder)
    copy_in_order(encoder, alone)
    note = (
        "Another decoder: five blocks, the stem's map added at 1/2 of the size, transposed 4x4 "
        "convolutions with bias, a 1x1 head at full size. Ours: four blocks, the stem's map after "
        "its max-pool at 1/4, transposed 3x3 convolutions, 3x3 and 2x2 layers at the end."
    )
    if not real:
        note += " torchvision is missing: empty modules stand in for it during the import only."
    found = {"available": True, "version": version("segmentation-models-pytorch")}
    found |= {"encoder": name, "timm": version("timm"), "note": note}
    formats = (PLAIN, LAST, BOTH, COMPILED)
    return (
        found,
        Network("smp", "Linknet", model, "another decoder", formats),
        Network("smp", f"encoder {name}", Last(alone), "equal", formats),
    )


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """Same layers in the same order under other names: copy weights and batch-norm constants."""
    names, values = list(target.state_dict()), source.state_dict().values()
    target.load_state_dict(dict(zip(names, values, strict=True)))
    norms = [[m for m in n.modules() if isinstance(m, nn.BatchNorm2d)] for n in (source, target)]
    for one, other in zip(*norms, strict=True):
        other.eps, other.momentum = one.eps, one.momentum
