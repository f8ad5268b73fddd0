"""The detectors and their parts: anchors, boxes, feature pyramid, losses."""

from retina_course.models.detection.retina_unet_detector import RetinaNet, RetinaUNetDetector

__all__ = ["RetinaNet", "RetinaUNetDetector"]
