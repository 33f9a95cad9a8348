"""The values of the parameter for which a pipeline gives an answer each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from octavo.errors import UsageError
from octavo.pipeline.spec import Pipeline

__all__ = ["Question", "list_questions"]

Question = tuple[str, object, Mapping[str, object]]
"""The parameter's name, its value, and all parameters with that value alone.

The name is empty where nothing is asked: the pipeline has no `each`, or its value is an empty text.
"""


def list_questions(pipeline: Pipeline, params: Mapping[str, object]) -> tuple[Question, ...]:
    """Return what is asked: each value of the pipeline's `each`, or everything at once.

    Raises UsageError when there is no value.
    """
    name = pipeline.each
    if name is None:
        return (("", None, params),)
    value = params.get(name)
    values = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
    if not values:
        flag = f"--{name.replace('_', '-')}"
        raise UsageError(f"the parameter {name!r} has no value", hint=f"add {flag} VALUE")
    if values in {("",), (None,)}:
        return (("", None, {**params, name: values[0]}),)
    return tuple((name, each, {**params, name: each}) for each in values)
