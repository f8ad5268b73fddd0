"""The documented `Train` and `Evaluate`."""

import pytest
import torch
from short_runs import fresh_model, same, sample
from torch import nn

from retina_course.training import Evaluate, Train, batch_generator
from retina_course.training.losses import DiceLoss, IoU


class TestTheDocumentedCalls:
    def test_train_and_evaluate(self):
        loader = [sample(batch_generator(0, step)) for step in range(8)]
        model = fresh_model()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        train = Train(dice=DiceLoss(), iou=IoU())
        evaluate = Evaluate(dice=DiceLoss(), iou=IoU())
        first = train.forward(model=model, loader=loader, optimizer=optimizer)
        for _ in range(6):
            last = train.forward(model=model, loader=loader, optimizer=optimizer)
        assert last[0] < first[0] and last[1] < first[1]
        before = {k: v.clone() for k, v in model.state_dict().items()}
        dice, iou = evaluate.forward(model=model, loader=loader)
        assert same(before, model.state_dict()) and not model.training
        assert 0 < dice < iou < 1

    def test_the_sum_of_both_losses_is_back_propagated_once(self):
        model = nn.Conv2d(3, 1, 1)
        twin = nn.Conv2d(3, 1, 1)
        twin.load_state_dict(model.state_dict())
        images, targets = sample(batch_generator(0, 0))
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = [(images, targets)]
        Train(dice=DiceLoss(), iou=IoU()).forward(model=model, loader=loader, optimizer=sgd)
        (DiceLoss()(twin(images), targets)[1] + IoU()(twin(images), targets)[1]).backward()
        torch.testing.assert_close(model.weight, twin.weight - 0.1 * twin.weight.grad)

    def test_an_empty_loader_is_named(self):
        with pytest.raises(ValueError, match="no batch"):
            Evaluate(dice=DiceLoss(), iou=IoU()).forward(model=nn.Conv2d(3, 1, 1), loader=[])
