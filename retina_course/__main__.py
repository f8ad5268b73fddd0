"""`python -m retina_course` is `retina-course`."""

import sys

from retina_course.cli.parser import main

sys.exit(main())
