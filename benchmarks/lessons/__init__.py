"""Experiments on synthetic images, each behind one lesson of a chapter."""
