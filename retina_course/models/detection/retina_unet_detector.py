"""Retina U-Net, the detector that finds objects and, to learn more from few images, outlines them.

Source: arXiv 1811.08661. Without its segmentation it is RetinaNet, arXiv 1708.02002, on P2 to P5.
"""

import inspect

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
from retina_course.models.detection.pyramid import ENCODERS, STRIDES, PyramidNetwork

CLASS_LOSSES = {"focal": focal_loss, "hard_negatives": hard_negative_loss}
CANDIDATES = 1000  # the best scores of an image, decoded and compared with each other
SMALLEST = 1.0  # pixels: a narrower box is no detection


class RetinaUNetDetector(nn.Module):
    """Boxes of objects, from a feature pyramid whose finest levels learn to segment.

    In training mode `model(images, targets)` returns a dict of losses, whose sum is to be
    minimised; in eval mode `model(images)` returns for each image a dict of `boxes` float32
    `(B, 4)` (x1, y1, x2, y2 in pixels, inside the image), `scores` `(B,)` and `labels` int64
    `(B,)` (1..num_classes), best first. `model.segment(images)` gives the segmentation's logits
    `(N, num_classes + 1, H, W)`, background first. H and W are multiples of 32.

    3,395,919 parameters with one class. The published sizes have two classes, one input channel,
    hard negatives and ResNet-50: 31.8 M with `width=48, pyramid_channels=192, head_channels=512`,
    8.2 M with `width=32, pyramid_channels=128, head_channels=128`.

    Parameters
    ----------
    in_channels : channels of the images, 3 for RGB.
    num_classes : kinds of objects, without the background.
    segmentation_weight : factor of the segmentation's loss. 0 leaves P1, P0 and the segmentation
        out of training: RetinaNet, with the same names and shapes of weights.
    class_loss : "focal" (one sigmoid for each class) or "hard_negatives" (a softmax over the
        classes and the background, the most mistaken negatives).
    encoder : "resnet18" or "resnet50", the kind and number of residual blocks.
    width : channels of the encoder's first stages; ResNet has 64.
    pyramid_channels, head_channels : channels of P0 to P5, and inside the two heads.
    anchor_scale : side of a level's smallest square anchor, in its strides. 2 gives sides from 8
        to 102 pixels; RetinaNet's own is 4.
    score_threshold, nms_iou, max_boxes : a box is kept where its score is at least the first,
        and no better box of its label overlaps it by more than the second; at most so many.

    Raises
    ------
    ValueError, TypeError : options, images or targets that do not fit.
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
    ):
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
            # They stay, so that both have the same weights; several GPUs would wait for gradients.
            for unused in self.network.segmentation_branch():
                unused.requires_grad_(False)

    def forward(
        self, images: Tensor, targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """In training mode the losses, scalars `classes`, `boxes` and, unless its weight is 0,
        `segmentation`; in eval mode the detections, as the class says.

        Parameters
        ----------
        images : `(N, in_channels, H, W)`, RGB in [0, 1].
        targets : in training mode, for each image a dict of `boxes` float `(K, 4)` and `labels`
            int64 `(K,)` from 1, K may be 0; and, unless `segmentation_weight` is 0,
            `segmentation` int64 `(H, W)`, 0 the background. Boxes are cut at the image's border;
            what has no area then is not learned. Values are not looked at here: check them once
            with `data.detection.check_target` (a label 0 would be learned as background).
        """
        check_input(images, self.in_channels, self.size_multiple)
        size = tuple(images.shape[2:])
        if not self.training:
            raw = self.network(images, segment=False)
            anchors = self.anchors(size).to(images.device)
            return [
                self._detections(*of_image, anchors, size)
                for of_image in zip(raw.classes, raw.offsets, strict=True)
            ]
        self._check_targets(targets, len(images), size)
        raw = self.network(images, segment=self.segmentation_weight > 0)
        return self._losses(raw, targets, size)

    def segment(self, images: Tensor) -> Tensor:
        """Logits of the segmentation, `(N, num_classes + 1, H, W)`, background first.

        With `segmentation_weight=0` its layers are not trained, and the logits mean nothing.
        """
        check_input(images, self.in_channels, self.size_multiple)
        return self.network(images).segmentation

    def anchors(self, size: tuple[int, int]) -> Tensor:
        """The anchors of an image of `size` (height, width), see `anchors.make_anchors`."""
        return make_anchors(size, STRIDES, self.anchor_scale)

    def _losses(self, raw, targets, size) -> dict[str, Tensor]:
        anchors = self.anchors(size).to(raw.classes.device)
        classification = CLASS_LOSSES[self.class_loss]
        of_classes, predicted, wanted = [], [], []
        for logits, offsets, target in zip(raw.classes, raw.offsets, targets, strict=True):
            boxes = clip(target["boxes"].float(), size)
            classes, chosen = match(anchors, boxes, target["labels"])
            of_classes.append(classification(logits, classes))
            positive = classes > NEGATIVE
            predicted.append(offsets[positive])
            wanted.append(encode(anchors[positive], boxes[chosen[positive]]))
        losses = {
            "classes": torch.stack(of_classes).mean(),
            "boxes": box_loss(torch.cat(predicted), torch.cat(wanted)),
        }
        if self.segmentation_weight > 0:
            target = torch.stack([target["segmentation"] for target in targets])
            segmentation = segmentation_loss(raw.segmentation, target)
            losses["segmentation"] = self.segmentation_weight * segmentation
        return losses

    def _detections(self, logits, offsets, anchors, size) -> dict[str, Tensor]:
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
        boxes, found, label = boxes[wide], flat[index][wide], label[wide]
        kept = nms(boxes, found, label, self.nms_iou)[: self.max_boxes]
        return {"boxes": boxes[kept], "scores": found[kept], "labels": label[kept]}

    def _check_targets(self, targets, n: int, size: tuple[int, int]) -> None:
        """Shapes and types only: looking at the values would stall a GPU at every step."""
        if targets is None or len(targets) != n:
            got = "none" if targets is None else len(targets)
            raise ValueError(
                f"In training mode the model needs one target for each of the {n} images, got "
                f"{got}. For detections call model.eval() first."
            )
        needed = ["boxes", "labels"] + ["segmentation"] * (self.segmentation_weight > 0)
        for i, target in enumerate(targets):
            missing = [key for key in needed if key not in target]
            if missing:
                hint = "Without segmentations build the model with segmentation_weight=0."
                raise ValueError(
                    f"Target {i} lacks {' and '.join(missing)}; it has {', '.join(target)}. "
                    + (hint if missing == ["segmentation"] else "")
                )
            k = len(target["labels"])
            shapes = {"boxes": (k, 4), "labels": (k,), "segmentation": size}
            for key in needed:
                found = tuple(target[key].shape)
                if found != shapes[key]:
                    raise ValueError(
                        f"Target {i}: {key} must have shape {shapes[key]}, got {found}."
                    )
                if key != "boxes" and target[key].dtype != torch.int64:
                    raise TypeError(f"Target {i}: {key} must be int64, got {target[key].dtype}.")


class RetinaNet(RetinaUNetDetector):
    """`RetinaUNetDetector(segmentation_weight=0)`: the detector alone, arXiv 1708.02002.

    The same weights under the same names, so that the two differ in nothing but the segmentation.
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 1, **options):
        super().__init__(in_channels, num_classes, segmentation_weight=0.0, **options)

    __signature__ = inspect.signature(RetinaUNetDetector)
    __signature__ = __signature__.replace(
        parameters=[
            p for name, p in __signature__.parameters.items() if name != "segmentation_weight"
        ]
    )
