"""The list of models, and that each of them is tested."""

from importlib import import_module
from pathlib import Path

import pytest
from model_contract import ModelContract

from retina_course import create_model, list_models
from retina_course.models import DETECTORS


def test_the_contract_covers_every_model():
    for file in Path(__file__).parent.glob("test_*.py"):
        import_module(file.stem)
    tested = {cls.name for cls in ModelContract.__subclasses__()}
    assert tested == set(list_models()) - set(DETECTORS)  # those: detection/test_retina_net


def test_unknown_names_and_options_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unet_small"):
        create_model("unet_tiny")
    with pytest.raises(TypeError, match="num_classes"):
        create_model("unet_small", classes=2)
