"""Connects to Scrip, reads its errors and follows its histories. It is made to be copied."""

from .clock import Clock
from .connect import Settings, connect
from .errors import is_outcome_unknown, missing_credits_of, refusal_of
from .history import history
from .until_known import until_known

__all__ = [
    "Clock",
    "Settings",
    "connect",
    "history",
    "is_outcome_unknown",
    "missing_credits_of",
    "refusal_of",
    "until_known",
]
