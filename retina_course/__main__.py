"""`python -m retina_course` is `retina-course`."""

import sys

from retina_course.cli import main

sys.exit(main())
