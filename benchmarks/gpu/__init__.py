"""Fifteen minutes of GPU: one program that uses them, and what it is made of."""
