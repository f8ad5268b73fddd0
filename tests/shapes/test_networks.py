"""The descriptions of the course's networks are those of the models, row by row."""

import pytest
from network_cases import CASES, build, trace

from retina_course import list_models, shapes
from retina_course.shapes.networks import describe
from retina_course.shapes.steps import predict_macs, predict_table


@pytest.mark.parametrize(("name", "options", "size"), CASES)
def test_a_description_has_the_rows_and_operations_of_the_model(name, options, size):
    steps, shape = describe(name, **options), (options["in_channels"], *size)
    model = build(name, options)
    assert predict_table(steps, shape) == trace(name, model, options, size)
    if options["in_channels"] == 3:  # once for each network and its options
        assert sum(predict_macs(steps, shape)) == shapes.macs(model, (1, *shape))


def test_every_network_is_described():
    assert {name for name, *_ in CASES} == set(list_models())
    with pytest.raises(ValueError, match="Unknown network 'u_net'. Described are unet_small"):
        describe("u_net")
