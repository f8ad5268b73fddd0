"""The blocks that networks share: the check of their input."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_course.models.blocks import check_input


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from([1, 8, 16, 32]))
def test_the_nearest_sizes_that_an_error_names_do_fit(height, width, multiple):
    x = torch.empty(1, 3, height, width, device="meta")
    try:
        check_input(x, 3, multiple)
        assert height % multiple == 0 and width % multiple == 0 and height and width
    except ValueError as error:
        sizes = [int(n) for n in str(error).split("fit: ")[1].split(". ")[0].split() if n.isdigit()]
        assert sizes and all(n % multiple == 0 and n > 0 for n in sizes)
        assert all(min(abs(n - height), abs(n - width)) < multiple or n == multiple for n in sizes)
