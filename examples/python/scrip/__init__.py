"""Connects to Scrip and reads its errors. It is made to be copied."""

from .connect import connect
from .refusal import refusal_of

__all__ = ["connect", "refusal_of"]
