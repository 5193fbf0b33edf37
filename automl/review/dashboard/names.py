"""Readable names of Optuna's parameters."""

from __future__ import annotations

_WORDS = {
    "lr": "learning rate",
    "head_lr": "learning rate of the head",
    "opt": "optimizer",
    "augment": "augmentation",
    "hflip": "flips",
    "rot90": "quarter turns",
    "ema": "averaged weights",
}


def parameter_words(name: str) -> str:
    """Return the name of a parameter for people.

    A parameter with several ranges has one in Optuna for each, with the values of the condition after a dot.

    >>> parameter_words("lr.sgd+momentum")
    'learning rate (sgd, momentum)'
    >>> parameter_words("weight_decay")
    'weight decay'
    """
    base, dot, condition = name.partition(".")
    words = _WORDS.get(base, base.replace("_", " "))
    return f"{words} ({', '.join(condition.replace('+', ',').split(','))})" if dot else words
