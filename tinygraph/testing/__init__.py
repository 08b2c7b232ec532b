"""Strategies of hypothesis, and properties, for tests of differentiable functions.

>>> import numpy as np, tinygraph as tg
>>> from tinygraph.testing import arrays, check
>>> @check(np.log, arrays(domain=(0.1, 10)))
... def test_log(x):
...     assert np.allclose(np.exp(np.log(x)), x)
"""

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise ImportError("tinygraph.testing needs hypothesis: pip install tinygraph[test]") from error

from tinygraph.testing import properties
from tinygraph.testing.calls import Call, calls
from tinygraph.testing.checking import PROPERTIES, CheckReport, check, check_op
from tinygraph.testing.drawing import (
    LAYOUTS,
    REAL,
    arrays,
    axes,
    broadcastable_arrays,
    broadcastable_shapes,
    indices,
    lay_out,
    overlapping_arrays,
    shapes_of,
    trees,
)
from tinygraph.testing.graphs import SMOOTH, Graph, graphs

__all__ = [
    "LAYOUTS",
    "PROPERTIES",
    "REAL",
    "SMOOTH",
    "Call",
    "CheckReport",
    "Graph",
    "arrays",
    "axes",
    "broadcastable_arrays",
    "broadcastable_shapes",
    "calls",
    "check",
    "check_op",
    "graphs",
    "indices",
    "lay_out",
    "overlapping_arrays",
    "properties",
    "shapes_of",
    "trees",
]
