"""A network as a person would bring it: plain torch, made by a function."""

from __future__ import annotations

from torch import nn

not_a_function = 3


def make(num_classes: int, in_chans: int, drop_path_rate: float = 0.0) -> nn.Module:
    """Two convolutions and a linear head; dropout stands in for drop path."""
    return nn.Sequential(
        nn.Conv2d(in_chans, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(drop_path_rate),
        nn.Linear(32, num_classes),
    )
