"""Seconds and memory: of networks, of training, of the notebooks."""
