"""checkpoint: compute values again on the way back instead of keeping them."""

from __future__ import annotations

from functools import wraps
from typing import Any

from tinygraph import engine
from tinygraph.bundle import Bundle
from tinygraph.node import Node, record
from tinygraph.op import Op
from tinygraph.rules.parts import parts
from tinygraph.state import get_state, no_grad
from tinygraph.transforms import Function, Trace, is_variable, name_of


def checkpoint(f: Function) -> Function:
    """Make a function that computes as `f` does, but keeps only what goes in and comes out.

    Backward evaluates `f` once more, and keeps the values in between only while it goes back
    through them. Nodes in the arguments and Nodes that `f` finds elsewhere get their gradients.
    `f` has to give the same result each time: draw random numbers outside of it.

    >>> import numpy as np, tinygraph as tg
    >>> layer = tg.checkpoint(lambda x: np.tanh(np.sin(x)))
    >>> float(tg.grad(layer)(0.0))
    1.0
    """

    @wraps(f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        def run() -> Any:
            return f(*args, **kwargs)

        state = get_state()
        if state.tape is not None or not state.recording:
            return run()
        trace = Trace(run, ())
        if not trace.outputs:
            return trace.out
        sources = [x for x in trace.order if x.stamp < trace.since]
        values = [Bundle([x._value for x in trace.outputs])]
        rebuild, leaves = trace.rebuild_out, [is_variable(x) or x for x in trace.out_leaves]
        del trace

        def forward(*inputs: Any) -> Bundle:
            # The first time is the one that has just been recorded to find the sources.
            return values.pop() if values else Bundle([x._value for x in Trace(run, ()).outputs])

        def rule(g: Any, out: Any, *inputs: Any) -> tuple[Any, ...]:
            if isinstance(out, Node):
                return pull(g)
            with no_grad():
                return pull(g)

        def pull(g: Any) -> tuple[Any, ...]:
            again = Trace(run, ())
            seeds: dict[Node, Any] = {}
            for y, cotangent in zip(again.outputs, g, strict=True):
                seeds[y] = seeds[y] + cotangent if y in seeds else cotangent
            gradients = again.pull(seeds, sources, engine.backward)
            return tuple(gradients.get(x) for x in sources)

        op = Op(f, forward, rule, f"checkpoint {name_of(f)}", (-float("inf"), float("inf")))
        results = iter(parts(record(op, tuple(sources))))
        return rebuild(next(results) if x is True else x for x in leaves)

    return checkpointed
