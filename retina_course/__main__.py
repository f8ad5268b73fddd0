"""`python -m retina_course` does what `retina-course` does."""

import sys

from retina_course.cli.parser import main

sys.exit(main())
