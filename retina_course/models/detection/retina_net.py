"""RetinaNet, arXiv 1708.02002, on the pyramid levels P2 to P5."""

import inspect
from typing import Any

from retina_course.models.detection.retina_unet_detector import RetinaUNetDetector


class RetinaNet(RetinaUNetDetector):
    """The detector alone: `RetinaUNetDetector` with `segmentation_weight=0`.

    Weights have the same names and shapes, so that the two networks differ only in the training
    of the segmentation. A call and its errors are those of `RetinaUNetDetector`.

    Parameters
    ----------
    in_channels : int, default 3
        Channels of the images, 3 for RGB.
    num_classes : int, default 1
        Number of kinds of objects, without the background.
    class_loss : {"focal", "hard_negatives"}
        Loss of the classes; "focal" by default.
    encoder : {"resnet18", "resnet50"}
        Kind and number of the residual blocks; "resnet18" by default.
    width : int, default 32
        Channels of the encoder's first stages; ResNet has 64.
    pyramid_channels, head_channels : int, default 64
        Channels of P0 to P5, and inside the two heads.
    anchor_scale : float, default 2.0
        Side of a level's smallest square anchor, in its strides.
    score_threshold : float, default 0.05
        The smallest score of a detection, in [0, 1].
    nms_iou : float, default 0.5
        The IoU with a better box of the same label above which a box is dropped, in [0, 1].
    max_boxes : int, default 100
        The largest number of detections per image.

    Raises
    ------
    ValueError
        As for `RetinaUNetDetector`.
    TypeError
        As for `RetinaUNetDetector`, and for the option `segmentation_weight`.

    Examples
    --------
    >>> import torch
    >>> from retina_course import RetinaNet
    >>> model = RetinaNet(num_classes=2, width=8)
    >>> target = {"boxes": torch.tensor([[8.0, 8, 24, 30]]), "labels": torch.tensor([2])}
    >>> losses = model(torch.rand(1, 3, 64, 64), [target])
    >>> sorted(losses)
    ['boxes', 'classes']
    >>> sum(losses.values()).backward()
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 1, **options: Any) -> None:
        super().__init__(in_channels, num_classes, segmentation_weight=0.0, **options)

    # The options of the one network without `segmentation_weight`, for `create_model` and `help`.
    __signature__ = inspect.signature(RetinaUNetDetector)
    __signature__ = __signature__.replace(
        parameters=[
            p for name, p in __signature__.parameters.items() if name != "segmentation_weight"
        ]
    )
