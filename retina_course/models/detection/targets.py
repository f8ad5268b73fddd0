"""The check of the targets that a detector is trained with."""

import torch
from torch import Tensor


def check_targets(
    targets: list[dict[str, Tensor]] | None,
    images: int,
    size: tuple[int, int],
    segmentation: bool,
) -> list[dict[str, Tensor]]:
    """Check keys, shapes and types of the targets of one batch, not their values.

    To read values would make a GPU wait at every step; `data.detection.check_target` checks them
    once, before training.

    Parameters
    ----------
    targets : list of dict, or None
        For each image a dict with `boxes` `(K, 4)`, `labels` int64 `(K,)`, and `segmentation`
        int64 `(H, W)` where it is needed.
    images : int
        Number of images in the batch.
    size : tuple of int
        Height and width of the images.
    segmentation : bool
        Whether a target needs a segmentation.

    Returns
    -------
    list of dict
        The targets themselves.

    Raises
    ------
    ValueError
        If there is not one target for each image, or a target lacks a key or has a tensor of
        another shape.
    TypeError
        If labels or segmentation are not int64.

    Examples
    --------
    >>> import torch
    >>> target = {"boxes": torch.zeros(2, 4), "labels": torch.tensor([1, 1, 1])}
    >>> check_targets([target], images=1, size=(64, 64), segmentation=False)
    Traceback (most recent call last):
    ...
    ValueError: Target 0: boxes must have shape (3, 4), got (2, 4).
    """
    if targets is None or len(targets) != images:
        got = "none" if targets is None else len(targets)
        raise ValueError(
            f"In training mode the model needs one target for each of the {images} images, got "
            f"{got}. For detections call model.eval() first."
        )
    needed = ["boxes", "labels"] + ["segmentation"] * segmentation
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
            shape = tuple(target[key].shape)
            if shape != shapes[key]:
                raise ValueError(f"Target {i}: {key} must have shape {shapes[key]}, got {shape}.")
            if key != "boxes" and target[key].dtype != torch.int64:
                raise TypeError(f"Target {i}: {key} must be int64, got {target[key].dtype}.")
    return targets
