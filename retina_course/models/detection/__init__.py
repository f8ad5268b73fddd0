"""The detectors and their parts: anchors, boxes, targets, feature pyramid, losses."""

from retina_course.models.detection.retina_net import RetinaNet
from retina_course.models.detection.retina_unet_detector import RetinaUNetDetector

__all__ = ["RetinaNet", "RetinaUNetDetector"]
