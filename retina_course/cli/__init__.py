"""The command line: `retina-course`, also `python -m retina_course`.

The commands and their options are declared in `parser` and `options`. What they do is in
`photo_commands` (segment, detect) and `commands` (the others), as functions of plain arguments.
"""

from retina_course.cli.parser import main

__all__ = ["main"]
