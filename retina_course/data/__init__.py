"""Real and synthetic fundus photographs, how they are read, and their augmentation."""
