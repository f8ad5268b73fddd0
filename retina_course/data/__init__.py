"""Made and real fundus photographs, and their augmentation."""
