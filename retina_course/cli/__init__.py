"""The command line: options in `parser.py`, what they do in the other files."""

from retina_course.cli.parser import main

__all__ = ["main"]
