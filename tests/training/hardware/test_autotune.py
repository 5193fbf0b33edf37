"""The fastest option is found and kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from automl.training.hardware.autotune import Autotune
from automl.training.steps.gradients import ONE_THREAD, SPLIT_BATCH, SPLIT_OPERATORS, Gradients

# Each option is measured five times at first, and the other one again in every hundredth turn.


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def turns(autotune: Autotune, clock: Clock, cost: tuple[float, ...], count: int) -> list[int]:
    taken = []
    for _ in range(count):
        with autotune.measured() as way:
            clock.now += cost[way]
        taken.append(way)
    return taken


@pytest.mark.parametrize("cost", [(1.0, 2.0, 3.0), (3.0, 1.0, 2.0), (2.0, 3.0, 1.0)])
def test_options_take_turns_until_the_fastest_is_known(cost: tuple[float, ...]) -> None:
    clock = Clock()
    autotune = Autotune(3, clock=clock)
    slow = turns(autotune, clock, (100.0, 100.0, 100.0), 3)  # the first turns pay for allocations
    taken = slow + turns(autotune, clock, cost, 97)
    assert sorted(taken[:15]) == sorted([0, 1, 2] * 5)
    assert set(taken[15:]) == {cost.index(1.0)} and autotune.best == cost.index(1.0)


def test_option_that_gets_slower_is_dropped_and_one_that_gets_faster_is_found() -> None:
    clock = Clock()
    autotune = Autotune(2, clock=clock)
    assert set(turns(autotune, clock, (1.0, 2.0), 100)[10:]) == {0}
    taken = turns(autotune, clock, (5.0, 2.0), 100)
    assert taken[0] == 1 and set(taken[6:]) == {1}
    taken = turns(autotune, clock, (1.0, 2.0), 101)
    assert taken[0] == 0 and set(taken[1:100]) == {0}


def test_option_that_takes_many_times_as_long_is_measured_twice_and_left() -> None:
    clock = Clock()
    autotune = Autotune(3, clock=clock)
    assert turns(autotune, clock, (1.0, 20.0, 2.0), 100).count(1) == 2
    assert turns(autotune, clock, (1.0, 20.0, 2.0), 101).count(1) == 1  # again in every hundredth turn


def test_option_that_other_work_makes_many_times_slower_is_left_after_two_turns() -> None:
    clock = Clock()
    autotune = Autotune(2, clock=clock)
    assert turns(autotune, clock, (1.0, 0.5), 50)[-1] == 1
    assert turns(autotune, clock, (1.2, 20.0), 40)[:4] == [1, 1, 0, 0]


def test_option_that_is_skipped_is_asked_about_again_a_hundred_turns_later() -> None:
    clock, asked, busy = Clock(), list[int](), [True]

    def skip(option: int) -> bool:
        asked.append(option)
        return option == 1 and busy[0]

    autotune = Autotune(3, clock=clock, skip=skip)
    assert set(turns(autotune, clock, (1.0, 0.1, 2.0), 99)) == {0, 2}
    assert asked.count(1) == 1
    busy[0] = False
    assert turns(autotune, clock, (1.0, 0.1, 2.0), 40)[-1] == 1


def test_turn_that_fails_does_not_count() -> None:
    autotune = Autotune(2)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"), autotune.measured() as way:
            raise ValueError("no")
        assert way == 0
    with autotune.measured() as way:
        assert way == 0


@pytest.mark.parametrize("winner", [SPLIT_BATCH, SPLIT_OPERATORS, ONE_THREAD])
def test_all_options_give_the_same_gradient_and_restore_the_threads(winner: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 4))
    images, targets = torch.randn(64, 3, 4, 4), torch.randint(0, 4, (64,))

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        seen.append((len(x), torch.get_num_threads()))
        return nn.functional.cross_entropy(model(x), y)

    seen: list[tuple[int, int]] = []
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        clock = Clock()
        autotune = Autotune(3, clock=clock)
        turns(autotune, clock, tuple(1.0 if option == winner else 2.0 for option in range(3)), 16)
        gradients = Gradients(model, loss_of, 2, autotune=autotune)
        value = gradients(images, targets)
        gradients.close()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    expected_calls = {SPLIT_BATCH: [(32, 1)] * 2, SPLIT_OPERATORS: [(64, 2)], ONE_THREAD: [(64, 1)]}
    assert seen == expected_calls[winner]
    expected = nn.functional.cross_entropy(model(images), targets)
    assert torch.allclose(value, expected, atol=1e-6)
    wanted = torch.autograd.grad(expected, list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), wanted, strict=True):
        assert parameter.grad is not None and torch.allclose(parameter.grad, gradient, atol=1e-6)
