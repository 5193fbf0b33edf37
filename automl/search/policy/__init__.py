"""Policies: pure decisions about trials. They import neither Optuna nor Ray nor torch."""

from automl.search.policy.base import (
    Action,
    Decision,
    Next,
    NextKind,
    Policy,
    PolicyContext,
    TrialView,
)
from automl.search.policy.registry import POLICIES, PolicyRow, make_policy
from automl.search.policy.significance import Significance

__all__ = [
    "POLICIES",
    "Action",
    "Decision",
    "Next",
    "NextKind",
    "Policy",
    "PolicyContext",
    "PolicyRow",
    "Significance",
    "TrialView",
    "make_policy",
]
