"""Retinal image segmentation, architecture by architecture: the package under the course.

Everything that a reader needs can be imported from here: `from retina_course import LinkNet,
DiceLoss, fit, segment`. Each name is loaded when it is first used, so that `import retina_course`
is fast. The names and the rooms that they live in are listed in `__init__.pyi`.
"""

import lazy_loader

from retina_course import _old_paths

__version__ = "0.6.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
_old_paths.install()
