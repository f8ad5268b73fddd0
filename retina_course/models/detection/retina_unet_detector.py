"""Retina U-Net, a detector that also segments its objects, to learn more from few images.

Source: arXiv 1811.08661. Without its segmentation it is RetinaNet, see `retina_net`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from retina_course.models.blocks import check_channels, check_choice, check_input, check_positive
from retina_course.models.detection.anchors import NEGATIVE, make_anchors, match
from retina_course.models.detection.boxes import clip, decode, encode, nms
from retina_course.models.detection.losses import (
    box_loss,
    focal_loss,
    hard_negative_loss,
    segmentation_loss,
)
from retina_course.models.detection.pyramid import ENCODERS, STRIDES, PyramidNetwork, Raw
from retina_course.models.detection.targets import check_targets

CLASS_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "focal": focal_loss,
    "hard_negatives": hard_negative_loss,
}
CANDIDATES = 1000  # the best scores per image, decoded and compared with each other
SMALLEST = 1.0  # pixels: a narrower box is not a detection


class RetinaUNetDetector(nn.Module):
    """Boxes of objects, from a feature pyramid whose finest levels learn to segment.

    In training mode `model(images, targets)` returns a dict of losses, scalars `classes`, `boxes`
    and, unless its weight is 0, `segmentation`; their sum is to be minimised. In eval mode
    `model(images)` returns for each image a dict of `boxes` float32 `(B, 4)` (x1, y1, x2, y2 in
    pixels, inside the image), `scores` `(B,)` and `labels` int64 `(B,)` (1..num_classes), best
    first. Images are `(N, in_channels, H, W)`, RGB in [0, 1], H and W multiples of 32.

    A target is a dict of `boxes` float `(K, 4)` and `labels` int64 `(K,)` from 1, where K may be
    0, and, unless `segmentation_weight` is 0, `segmentation` int64 `(H, W)`, 0 the background.
    Boxes are cut at the image's border; a box without area after that is not learned. Values are
    not checked here: check them once with `data.detection.check_target` (a label 0 would be
    learned as background).

    3,395,919 parameters with one class. The published sizes have two classes, one input channel,
    hard negatives and ResNet-50: 31.8 M with `width=48, pyramid_channels=192, head_channels=512`,
    8.2 M with `width=32, pyramid_channels=128, head_channels=128`.

    Parameters
    ----------
    in_channels : int, default 3
        Channels of the images, 3 for RGB.
    num_classes : int, default 1
        Number of kinds of objects, without the background.
    segmentation_weight : float, default 1.0
        Factor of the segmentation's loss. 0 leaves P1, P0 and the segmentation out of training:
        RetinaNet, with the same names and shapes of weights.
    class_loss : {"focal", "hard_negatives"}
        "focal" (default): one sigmoid for each class. "hard_negatives": a softmax over the
        background and the classes, trained with the negatives of the largest loss.
    encoder : {"resnet18", "resnet50"}
        Kind and number of the residual blocks; "resnet18" by default.
    width : int, default 32
        Channels of the encoder's first stages; ResNet has 64.
    pyramid_channels, head_channels : int, default 64
        Channels of P0 to P5, and inside the two heads.
    anchor_scale : float, default 2.0
        Side of a level's smallest square anchor, in its strides. 2 gives sides from 8 to 102
        pixels; the paper of RetinaNet has 4.
    score_threshold : float, default 0.05
        The smallest score of a detection, in [0, 1].
    nms_iou : float, default 0.5
        The IoU with a better box of the same label above which a box is dropped, in [0, 1].
    max_boxes : int, default 100
        The largest number of detections per image.

    Raises
    ------
    ValueError
        If an option does not fit, or, on a call, images or targets do not; see
        `blocks.check_input` and `targets.check_targets`.
    TypeError
        On a call, if images are not floating point, or labels or segmentations not int64.

    Examples
    --------
    >>> import torch
    >>> from retina_course import RetinaUNetDetector
    >>> model = RetinaUNetDetector(num_classes=2, width=8)
    >>> images = torch.rand(1, 3, 64, 64)
    >>> target = {"boxes": torch.tensor([[8.0, 8, 24, 30]]), "labels": torch.tensor([2])}
    >>> target["segmentation"] = torch.zeros(64, 64, dtype=torch.int64)
    >>> target["segmentation"][8:30, 8:24] = 2
    >>> sorted(model(images, [target]))
    ['boxes', 'classes', 'segmentation']
    >>> (detections,) = model.eval()(images)
    >>> sorted(detections)
    ['boxes', 'labels', 'scores']
    """

    size_multiple = 32

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1,
        *,
        segmentation_weight: float = 1.0,
        class_loss: str = "focal",
        encoder: str = "resnet18",
        width: int = 32,
        pyramid_channels: int = 64,
        head_channels: int = 64,
        anchor_scale: float = 2.0,
        score_threshold: float = 0.05,
        nms_iou: float = 0.5,
        max_boxes: int = 100,
    ) -> None:
        super().__init__()
        check_channels(in_channels, num_classes)
        check_positive(
            width=width,
            pyramid_channels=pyramid_channels,
            head_channels=head_channels,
            max_boxes=max_boxes,
        )
        check_choice("class_loss", class_loss, tuple(CLASS_LOSSES))
        check_choice("encoder", encoder, tuple(ENCODERS))
        if not segmentation_weight >= 0:
            raise ValueError(f"segmentation_weight must be 0 or more, got {segmentation_weight}.")
        if not anchor_scale > 0:
            raise ValueError(f"anchor_scale must be positive, got {anchor_scale}.")
        if not (0 <= score_threshold <= 1 and 0 <= nms_iou <= 1):
            raise ValueError(
                "score_threshold and nms_iou must lie in [0, 1], got "
                f"{score_threshold} and {nms_iou}."
            )
        self.in_channels, self.num_classes = in_channels, num_classes
        self.segmentation_weight, self.class_loss = segmentation_weight, class_loss
        self.anchor_scale = anchor_scale
        self.score_threshold, self.nms_iou = score_threshold, nms_iou
        self.max_boxes = max_boxes
        self.network = PyramidNetwork(
            in_channels,
            num_classes,
            background=class_loss == "hard_negatives",
            encoder=encoder,
            width=width,
            pyramid_channels=pyramid_channels,
            head_channels=head_channels,
        )
        if segmentation_weight == 0:
            # They stay, so that both networks have the same weights; without this, training on
            # several GPUs would wait for their gradients.
            for unused in self.network.segmentation_branch():
                unused.requires_grad_(False)

    def forward(
        self, images: Tensor, targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """The losses in training mode, the detections in eval mode; see the class."""
        check_input(images, self.in_channels, self.size_multiple)
        height, width = images.shape[2:]
        size = (height, width)
        if not self.training:
            raw = self.network(images, segment=False)
            anchors = self.anchors(size).to(images.device)
            return [
                self._detections(logits, offsets, anchors, size)
                for logits, offsets in zip(raw.classes, raw.offsets, strict=True)
            ]
        targets = check_targets(targets, len(images), size, self.segmentation_weight > 0)
        raw = self.network(images, segment=self.segmentation_weight > 0)
        return self._losses(raw, targets, size)

    def segment(self, images: Tensor) -> Tensor:
        """Segment images.

        With `segmentation_weight=0` these layers are not trained, and the logits mean nothing.

        Parameters
        ----------
        images : Tensor
            Images `(N, in_channels, H, W)` in [0, 1].

        Returns
        -------
        Tensor
            Logits `(N, num_classes + 1, H, W)`, background first.
        """
        check_input(images, self.in_channels, self.size_multiple)
        return self.network(images).segmentation

    def anchors(self, size: tuple[int, int]) -> Tensor:
        """The anchors of an image, on the levels P2 to P5.

        Parameters
        ----------
        size : tuple of int
            Height and width of the image.

        Returns
        -------
        Tensor
            Boxes, float32 `(A, 4)`; see `anchors.make_anchors`.
        """
        return make_anchors(size, STRIDES, self.anchor_scale)

    def _losses(
        self, raw: Raw, targets: list[dict[str, Tensor]], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Match the anchors of each image, and compute the losses of the batch."""
        anchors = self.anchors(size).to(raw.classes.device)
        classification = CLASS_LOSSES[self.class_loss]
        class_losses, predicted, expected = [], [], []
        for logits, offsets, target in zip(raw.classes, raw.offsets, targets, strict=True):
            boxes = clip(target["boxes"].float(), size)
            classes, chosen = match(anchors, boxes, target["labels"])
            class_losses.append(classification(logits, classes))
            positive = classes > NEGATIVE
            predicted.append(offsets[positive])
            expected.append(encode(anchors[positive], boxes[chosen[positive]]))
        losses = {
            "classes": torch.stack(class_losses).mean(),
            "boxes": box_loss(torch.cat(predicted), torch.cat(expected)),
        }
        if self.segmentation_weight > 0:
            assert raw.segmentation is not None  # `forward` asks for it
            masks = torch.stack([target["segmentation"] for target in targets])
            segmentation = segmentation_loss(raw.segmentation, masks)
            losses["segmentation"] = self.segmentation_weight * segmentation
        return losses

    def _detections(
        self, logits: Tensor, offsets: Tensor, anchors: Tensor, size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Decode the best scores of one image, and keep one box for each object."""
        logits = logits.float()
        if self.class_loss == "focal":
            scores = logits.sigmoid()
        else:
            scores = logits.softmax(dim=1)[:, 1:]
        flat = scores.flatten()
        best, index = flat.topk(min(CANDIDATES, len(flat)))
        index = index[best >= self.score_threshold]
        anchor, label = index // self.num_classes, index % self.num_classes + 1
        boxes = clip(decode(anchors[anchor], offsets[anchor].float()), size)
        wide = ((boxes[:, 2:] - boxes[:, :2]) >= SMALLEST).all(dim=1)
        boxes, score, label = boxes[wide], flat[index][wide], label[wide]
        kept = nms(boxes, score, label, self.nms_iou)[: self.max_boxes]
        return {"boxes": boxes[kept], "scores": score[kept], "labels": label[kept]}
