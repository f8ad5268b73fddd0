"""The seven documented networks that have steps: table, steps, the package's model."""

from retina_course import shapes
from retina_course.shapes.networks import describe

_OPTIONS = {
    "unet_small_3x128x128": ("unet_small", {"num_classes": 32}),
    "unet_large_3x80x80_out256": ("unet_large", {"num_classes": 256}),
    "segnet_3cls_3x128x128": ("segnet", {"num_classes": 3, "head": "documented"}),
    "retina_unet_2cls_3x512x512": ("retina_unet", {"num_classes": 2}),
    "retina_segmentor_concat_3x512x512": ("retina_segmentor", {"num_classes": 3}),
    "linknet18_1cls_3x512x512": ("linknet", {}),
    "w_net_1cls_3x512x512": ("w_net", {}),
}
DOCUMENTED = {
    table: (describe(name, **options), (name, options))
    for table, (name, options) in _OPTIONS.items()
}


def chw(table):
    return tuple(map(int, shapes.read(table)[0].output_shape.split("x")))
