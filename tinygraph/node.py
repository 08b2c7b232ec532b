"""Node: a value, the inputs it was made of, and the two closures that made it and lead back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any, NoReturn

import numpy as np

from tinygraph import buffer, debugging
from tinygraph.buffer import Array
from tinygraph.bundle import Bundle
from tinygraph.op import (
    COMPOSED,
    CONSTANT,
    INSTEAD,
    OF_SHAPES,
    OPS,
    Function,
    Op,
    Traced,
    describe,
)
from tinygraph.signature import refuse_out, refuse_unknown_arguments
from tinygraph.state import get_state

ndarray = np.ndarray
new_object = object.__new__
next_stamp = count(1).__next__
_no_params: dict[str, Any] = {}


def record(op: Op, inputs: tuple[Any, ...], params: Mapping[str, Any] = _no_params) -> Node:
    """Compute `op` on `inputs`, Nodes and constants, and give the node that remembers it."""
    recording, scope, tape, is_debugging, _ = get_state()
    if tape is not None:
        taped: Node = tape.record(op, inputs, params)
        return taped
    values = []
    kept = []
    requires_grad = replaced = False
    for x in inputs:
        if x.__class__ is Node:
            if x.requires_grad:
                requires_grad = True
            values.append(x._value)
        else:
            if x.__class__ not in _immutable:
                replaced = True
                x = buffer.freeze(x) if x.__class__ is ndarray else constant(x, op)
            values.append(x)
        kept.append(x)
    if replaced:
        inputs = tuple(kept)
    node: Node = new_object(Node)
    if params:
        params = {
            key: x if x.__class__ in _immutable else static(op, key, x) for key, x in params.items()
        }
        forward: Function = partial(op.forward, **params)
        node.backward_fn = partial(op.rule, **params)
    else:
        forward = op.forward
        node.backward_fn = op.rule
    node.forward_fn = forward
    try:
        value = forward(*values)
    except Exception as error:
        error.add_note(
            f"in tinygraph's {op.name} of shapes {', '.join(map(str, map(np.shape, values)))}"
        )
        raise
    if value.__class__ is not ndarray:
        value = as_value(value, op)
    node._value = value
    node.scope = scope
    if recording:
        node.op = op
        node.inputs = inputs
        # What a ufunc makes of floating values is floating; others may round, or count.
        node.requires_grad = requires_grad and (op.is_ufunc or value.dtype.kind in _smooth)
    else:
        forget(node)
    node.grad = node.name = None
    node.read_at = 0
    node.made_at = node.stamp = next_stamp()
    if is_debugging:
        node._line = debugging.user_line()
        debugging.refuse_made(node, op.name, values)
    return node


def read(x: Any) -> Any:
    """Give `x` with values for Nodes, for a plain result which the graph cannot evaluate again.

    Every node below is marked with the time, so that `forward` can tell what was made afterwards.
    """
    if isinstance(x, list | tuple):
        return type(x)(read(part) for part in x)
    if isinstance(x, dict):
        return {key: read(part) for key, part in x.items()}
    refuse_while_taped(x)
    now = next_stamp()
    stack = [x]
    while stack:
        node = stack.pop()
        if node.__class__ is Node and not node.read_at:
            node.read_at = now
            stack.extend(node.inputs)
    return values_of(x)


def plain(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Give what a function that no gradient flows through makes of Nodes: a plain array."""
    tape = get_state().tape
    if tape is not None:
        return tape.record_plain(function, args, kwargs)
    return function(*read(args), **read(dict(kwargs)))


def refuse_while_taped(x: Any) -> None:
    """Refuse to give the value of a node which a compiled function computes anew at every call."""
    tape = get_state().tape
    if tape is not None and isinstance(x, Node):
        tape.refuse(x)


def holds(condition: Any) -> bool:
    """Tell whether a shortcut that depends on values may be taken.

    While a compiled function is recorded none may be: its plan serves other values too.
    """
    return not (isinstance(condition, Node) and get_state().tape is not None) and bool(condition)


def static(op: Op, key: str, x: Any) -> Any:
    """Give the parameter `key` out of reach of the caller's later writes, and refuse a Node."""
    if x.__class__ is Node:
        raise op.static_error(key)
    if x.__class__ is list:
        return [static(op, key, part) for part in x]
    return buffer.freeze(x) if x.__class__ is ndarray else x


_immutable = frozenset({float, int, complex, bool, np.float64, np.float32})
_smooth = frozenset("fcV")
"""The kinds of dtypes whose values have gradients; that of a Bundle is V."""

_values = (np.generic, Bundle)


def constant(x: Any, op: Op) -> Any:
    """Give `x` as a constant input of `op`, out of reach of the caller's later writes."""
    if isinstance(x, np.generic):
        return x
    refuse_masked(x, op.name)
    if isinstance(x, str | bytes) or callable(x):
        raise TypeError(f"{op.name}: expected arrays, numbers or Nodes, got {type(x).__name__}")
    try:
        return buffer.freeze(np.asarray(x))
    except ValueError as error:
        error.add_note(f"in tinygraph's {op.name}, whose argument was {type(x).__name__}")
        raise


def refuse_masked(x: Any, what: str) -> None:
    """Refuse an array with a mask, which the graph would drop."""
    if isinstance(x, ndarray) and hasattr(x, "mask"):
        raise TypeError(
            f"{what}: got a masked array, whose mask the graph would lose; fill it with "
            f"x.filled(...), or use np.where with its mask"
        )


def as_value(value: Any, op: Op | None) -> Any:
    """Give what a forward function returned as an array or a NumPy scalar."""
    if isinstance(value, _values):
        return value
    value = np.asarray(value)
    if value.dtype.kind not in "biufc":
        name = op.name if op else "a node"
        raise TypeError(f"the forward function of {name} gave {value.dtype}, expected numbers")
    return value


def forget(node: Node) -> None:
    """Make `node` a leaf that requires no gradient."""
    node.op = None
    node.inputs = ()
    node.forward_fn = node.backward_fn = None
    node.requires_grad = False
    node.read_at = 0


def values_of(tree: Any) -> Any:
    """Give `tree` with every Node in its lists, tuples and dicts replaced by its value."""
    if isinstance(tree, Node):
        value = tree._value
        return value if value.__class__ is Bundle else buffer.read_only(value)
    if isinstance(tree, list | tuple):
        return type(tree)(values_of(x) for x in tree)
    if isinstance(tree, dict):
        return {key: values_of(x) for key, x in tree.items()}
    return tree


def call(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Do what a NumPy function called with Nodes means: record its op, or compute a constant."""
    op = OPS.get(function)
    if op is not None:
        if function.__class__ is np.ufunc and not kwargs:
            return record(op, args)
        inputs, params = op.signature.bind(args, kwargs)
        return record(op, inputs, params)
    if function in COMPOSED:
        try:
            return COMPOSED[function](*args, **kwargs)
        except TypeError:
            refuse_unknown_arguments(function, COMPOSED[function], args, kwargs)
            raise
    if function in CONSTANT:
        return plain(function, args, kwargs)
    if function in OF_SHAPES:
        return function(*values_of(args), **values_of(dict(kwargs)))
    if function in INSTEAD:
        for x in args:
            refuse_while_taped(x)
        raise TypeError(
            f"{describe(function)} with a Node: it writes into an array, and values of Nodes are "
            f"not changed in place; write {INSTEAD[function]}"
        )
    from tinygraph import rules

    if rules.import_late(function):
        return call(function, args, kwargs)
    name = describe(function)
    raise TypeError(
        f"{name} of a Node: tinygraph has no derivative rule for it; write it with functions that "
        f"have one, give it one by tg.op({name})(rule), or pass node.value to leave the graph"
    )


def _binary(ufunc: np.ufunc) -> Callable[[Node, Any], Any]:
    def operator(self: Node, other: Any) -> Any:
        if other.__class__ not in _operands and not isinstance(other, _operand_types):
            return NotImplemented
        return record(OPS[ufunc], (self, other))

    return operator


def _reflected(ufunc: np.ufunc) -> Callable[[Node, Any], Any]:
    def operator(self: Node, other: Any) -> Any:
        if not isinstance(other, _operand_types):
            return NotImplemented
        return record(OPS[ufunc], (other, self))

    return operator


def _unary(ufunc: np.ufunc) -> Callable[[Node], Node]:
    def operator(self: Node) -> Node:
        return record(OPS[ufunc], (self,))

    return operator


def _plain(ufunc: np.ufunc, reflected: bool = False) -> Callable[[Node, Any], Any]:
    def operator(self: Node, other: Any) -> Any:
        if not isinstance(other, _operand_types):
            return NotImplemented
        return plain(ufunc, (other, self) if reflected else (self, other), _no_params)

    return operator


def _equality(ufunc: np.ufunc, compare: Callable[[Any, Any], Any]) -> Callable[[Node, Any], Any]:
    def operator(self: Node, other: Any) -> Any:
        if isinstance(other, _operand_types) and not isinstance(other, list | tuple):
            return plain(ufunc, (self, other), _no_params)
        # NumPy compares with None and texts too, elementwise, also in lists.
        return compare(read(self), read(other))

    return operator


def _method(function: Function) -> Callable[..., Any]:
    def method(self: Node, *args: Any, **kwargs: Any) -> Any:
        if kwargs and kwargs.pop("out", None) is not None:
            refuse_out(function.__name__)
        return call(function, (self, *args), kwargs)

    method.__doc__ = f"Do as {describe(function)} of this node."
    return method


def _conversion(convert: Callable[[Any], Any]) -> Callable[[Node], Any]:
    def conversion(self: Node) -> Any:
        self._refuse_to_leave(
            f"{convert.__name__}(node)", "np.stack([...]) in place of array[i] = node, node.item()"
        )
        return convert(self.value)

    return conversion


_scalar_powers: dict[Any, np.ufunc] = {2: np.square, -1: np.reciprocal, 0.5: np.sqrt}
"""What NumPy's ** itself does for these Python numbers, to the bit."""


class Node(Traced):
    """A value in the graph: a leaf with a copy of `array_like`, or the result of an op on others.

    `value` is read-only; assign to a leaf's `value` to change it. After `backward`, `grad` of the
    leaves that require gradients holds theirs, of the same shape and dtype.

    >>> import numpy as np, tinygraph as tg
    >>> x = tg.Node([1.0, 2.0], name="x")
    >>> np.sum(x * x).backward()
    >>> x.grad
    array([2., 4.])
    """

    __slots__ = (
        "__weakref__",
        "_line",
        "_value",
        "backward_fn",
        "forward_fn",
        "grad",
        "inputs",
        "made_at",
        "name",
        "op",
        "read_at",
        "requires_grad",
        "scope",
        "stamp",
    )

    _line: str
    _value: Any
    grad: Any
    op: Op | None
    inputs: tuple[Any, ...]
    forward_fn: Function | None
    backward_fn: Function | None
    requires_grad: bool
    name: str | None
    scope: tuple[str, ...]
    stamp: int
    made_at: int
    read_at: int

    def __init__(
        self, array_like: Any, requires_grad: bool = True, name: str | None = None
    ) -> None:
        if isinstance(array_like, Node):
            array_like._refuse_to_leave("Node(node)", "node.detach()")
        refuse_masked(array_like, "Node")
        value = np.array(array_like)
        if not value.dtype.isnative:
            value = value.astype(value.dtype.newbyteorder("="))
        if value.dtype.kind not in "biufc":
            raise TypeError(f"Node: expected numbers, got dtype {value.dtype}")
        if requires_grad and value.dtype.kind not in "fc":
            raise TypeError(
                f"Node: only floating and complex values can require gradients, got {value.dtype}; "
                f"write Node(np.asarray(x, dtype=float)), or requires_grad=False for a constant"
            )
        forget(self)
        self._value = value
        self.requires_grad = bool(requires_grad)
        self.name = name
        self.grad = None
        self.scope = get_state().scope
        self.made_at = self.stamp = next_stamp()

    @property
    def value(self) -> Array:
        """The value, read-only; of a leaf it may be replaced by one of the same shape."""
        refuse_while_taped(self)
        value: Array = values_of(self)
        return value

    @value.setter
    def value(self, array_like: Any) -> None:
        if self.op is not None:
            raise TypeError(
                f"value of a node made by {self.op.name}: only a leaf's can be set; "
                f"set the leaves and call node.forward()"
            )
        value = np.array(values_of(array_like))
        if value.shape != self.shape or not np.can_cast(value.dtype, self.dtype, "same_kind"):
            raise ValueError(
                f"value of {self._describe()}: expected shape {self.shape} and a dtype that casts "
                f"to {self.dtype}, got {value.shape} and {value.dtype}; make a new Node for it"
            )
        tape = get_state().tape
        if tape is not None:
            tape.assign(self, array_like)
            return
        self._value = value.astype(self.dtype, copy=False)
        self.stamp = next_stamp()

    @property
    def line(self) -> str | None:
        """Where the user's code made the node, "file.py:12", if that was under `debug()`."""
        return getattr(self, "_line", None)

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        shape: tuple[int, ...] = self._value.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of the value's axes."""
        return len(self._value.shape)

    @property
    def size(self) -> int:
        """The number of the value's elements."""
        return int(self._value.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The value's dtype."""
        dtype: np.dtype[Any] = self._value.dtype
        return dtype

    @property
    def itemsize(self) -> int:
        """The number of bytes of one of the value's elements."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The number of bytes of the value's elements."""
        return self.size * self.itemsize

    @property
    def T(self) -> Any:
        """The node with its axes reversed."""
        return call(np.transpose, (self,), _no_params)

    @property
    def mT(self) -> Any:
        """The node with its last two axes exchanged."""
        if self.ndim < 2:
            raise ValueError(f"mT: expected at least 2 axes, got shape {self.shape}")
        return record(OPS[np.swapaxes], (self,), {"axis1": -1, "axis2": -2})

    @property
    def flat(self) -> Any:
        """The elements along one axis, in C's order."""
        return call(np.ravel, (self,), _no_params)

    @property
    def real(self) -> Any:
        """The real part."""
        return call(np.real, (self,), _no_params)

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return call(np.imag, (self,), _no_params)

    @property
    def params(self) -> dict[str, Any]:
        """The static parameters (axis, keepdims, ...) over which the two closures close."""
        return dict(getattr(self.forward_fn, "keywords", _no_params))

    def backward(self, cotangent: Any = None, create_graph: bool = False) -> None:
        """Add the derivative of this node, times `cotangent`, to the `grad` of the leaves below.

        `cotangent` has the node's shape; it may be left out of a node with one element. With
        `create_graph` the gradients are Nodes, to be differentiated again.
        """
        from tinygraph import engine

        engine.backward_into_leaves(self, cotangent, create_graph)

    def forward(self) -> Node:
        """Evaluate the graph below again, after leaves got new values, and give this node."""
        from tinygraph import engine

        engine.forward(self)
        return self

    def detach(self) -> Node:
        """Give a leaf of the same value that requires no gradient."""
        node: Node = new_object(Node)
        forget(node)
        node._value = self._value
        node.grad = None
        node.name = self.name
        node.scope = get_state().scope
        node.made_at = node.stamp = next_stamp()
        tape = get_state().tape
        return node if tape is None else tape.detached(self, node)

    def item(self, *index: Any) -> Any:
        """Give the one element, or that at an index, as a Python number, outside the graph."""
        refuse_while_taped(self)
        return self._value.item(*index)

    def tolist(self) -> Any:
        """Give the elements as nested lists of Python numbers, outside the graph."""
        refuse_while_taped(self)
        return self._value.tolist()

    @property
    def at(self) -> Any:
        """Functional updates: node.at[index].set(values) and node.at[index].add(values)."""
        from tinygraph.rules.indexing import At

        return At(self)

    record = staticmethod(record)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs:
            return call(ufunc, inputs, kwargs)
        if "out" in kwargs:
            refuse_out(ufunc.__name__)
        from tinygraph.rules import ufuncs

        if method == "__call__":
            return ufuncs.call_with_keywords(ufunc, inputs, kwargs)
        return ufuncs.call_method(ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Function, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if "out" in kwargs and kwargs.pop("out") is not None:
            refuse_out(function.__name__)
        return call(function, args, kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        self._refuse_to_leave(
            "np.asarray(node)",
            "np.stack([...]) for lists of Nodes and in place of array[i] = node, f(node) or "
            "np.stack([f(x) for x in node]) for np.vectorize(f)(node), tg.special.f for SciPy's "
            "softmax, log_softmax, logsumexp, polygamma and expm, node.value",
        )
        if copy:
            return np.array(self._value, dtype=dtype)
        return np.asarray(self.value, dtype=dtype, copy=copy)

    def _refuse_to_leave(self, what: str, instead: str) -> None:
        refuse_while_taped(self)
        if self.requires_grad and get_state().recording:
            raise TypeError(
                f"{what} would cut {self._describe()} out of the graph, and its gradient with it; "
                f"write np's functions (np.exp for math.exp), {instead}, or use tg.no_grad()"
            )

    def __bool__(self) -> bool:
        refuse_while_taped(self)
        if get_state().recording:
            raise TypeError(
                f"bool({self._describe()}): a branch on a value is not part of the graph; "
                f"write np.where, or bool(node.value) where the branch is meant"
            )
        return bool(self._value)

    __float__ = _conversion(float)
    __int__ = _conversion(int)
    __complex__ = _conversion(complex)

    def __index__(self) -> int:
        return operator.index(np.asarray(read(self)))

    def __copy__(self) -> Any:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        refuse_while_taped(self)
        if self.op is not None:
            raise TypeError(
                f"pickle or deepcopy of {self._describe()}: only leaves can be taken out of their "
                f"graph; write node.detach() for a leaf of the same value, or node.copy()"
            )
        return Node, (self._value, self.requires_grad, self.name), (None, {"grad": self.grad})

    def __setitem__(self, index: Any, values: Any) -> NoReturn:
        raise TypeError(
            "node[index] = values: values of Nodes are not changed in place; "
            "write node = node.at[index].set(values), or .add(values) for +="
        )

    def __getitem__(self, index: Any) -> Any:
        from tinygraph.rules.indexing import getitem, static_index

        return record(getitem, (self,), {"index": static_index(index)})

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a Node without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if self._value.__class__ is Bundle:
            from tinygraph.rules.parts import parts

            return iter(parts(self))
        from tinygraph.rules.joining import subarrays

        return subarrays(self) if len(self) else iter(())

    def __contains__(self, element: Any) -> bool:
        return read(element) in read(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        refuse_while_taped(self)
        parts = [np.array2string(np.asarray(self._value), separator=", ", threshold=20)]
        if self.name:
            parts.append(f"name={self.name!r}")
        parts.append(f"op={self.op.name}" if self.op else f"requires_grad={self.requires_grad}")
        return f"Node({', '.join(parts)})"

    def _describe(self) -> str:
        kind = f"a node made by {self.op.name}" if self.op else "a leaf"
        return f"{self.name or kind} of shape {self.shape}"

    def _repr_svg_(self) -> str | None:
        from tinygraph.pictures.render import to_svg

        svg: str | None = to_svg(self)
        return svg

    __hash__ = object.__hash__

    __add__ = _binary(np.add)
    __radd__ = _reflected(np.add)
    __sub__ = _binary(np.subtract)
    __rsub__ = _reflected(np.subtract)
    __mul__ = _binary(np.multiply)
    __rmul__ = _reflected(np.multiply)
    __truediv__ = _binary(np.divide)
    __rtruediv__ = _reflected(np.divide)
    __matmul__ = _binary(np.matmul)
    __rmatmul__ = _reflected(np.matmul)
    __mod__ = _binary(np.remainder)
    __rmod__ = _reflected(np.remainder)
    __floordiv__ = _binary(np.floor_divide)
    __rfloordiv__ = _reflected(np.floor_divide)
    __rpow__ = _reflected(np.power)
    __neg__ = _unary(np.negative)
    __pos__ = _unary(np.positive)
    __abs__ = _unary(np.absolute)

    __lt__ = _plain(np.less)
    __le__ = _plain(np.less_equal)
    __gt__ = _plain(np.greater)
    __ge__ = _plain(np.greater_equal)
    __eq__ = _equality(np.equal, operator.eq)
    __ne__ = _equality(np.not_equal, operator.ne)

    __and__ = _plain(np.bitwise_and)
    __rand__ = _plain(np.bitwise_and, reflected=True)
    __or__ = _plain(np.bitwise_or)
    __ror__ = _plain(np.bitwise_or, reflected=True)
    __xor__ = _plain(np.bitwise_xor)
    __rxor__ = _plain(np.bitwise_xor, reflected=True)
    __lshift__ = _plain(np.left_shift)
    __rlshift__ = _plain(np.left_shift, reflected=True)
    __rshift__ = _plain(np.right_shift)
    __rrshift__ = _plain(np.right_shift, reflected=True)

    def __invert__(self) -> Any:
        return plain(np.invert, (self,), _no_params)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __round__(self, ndigits: int = 0) -> Any:
        return call(np.round, (self, ndigits), _no_params)

    def __pow__(self, other: Any) -> Any:
        is_short = other.__class__ in (int, float) and other in _scalar_powers
        if is_short and self.dtype.kind in "fc":
            return record(OPS[_scalar_powers[other]], (self,))
        return _power(self, other)

    sum = _method(np.sum)
    mean = _method(np.mean)
    prod = _method(np.prod)
    max = _method(np.max)
    min = _method(np.min)
    var = _method(np.var)
    std = _method(np.std)
    cumsum = _method(np.cumsum)
    cumprod = _method(np.cumprod)
    ravel = _method(np.ravel)
    swapaxes = _method(np.swapaxes)
    squeeze = _method(np.squeeze)
    repeat = _method(np.repeat)
    diagonal = _method(np.diagonal)
    trace = _method(np.trace)
    take = _method(np.take)
    choose = _method(np.choose)
    clip = _method(np.clip)
    round = _method(np.round)
    conj = conjugate = _method(np.conjugate)
    dot = _method(np.dot)
    argmax = _method(np.argmax)
    argmin = _method(np.argmin)
    argsort = _method(np.argsort)
    argpartition = _method(np.argpartition)
    searchsorted = _method(np.searchsorted)
    nonzero = _method(np.nonzero)
    all = _method(np.all)
    any = _method(np.any)

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        """Give the elements in another shape, given as numbers or as a tuple."""
        params: dict[str, Any] = {"shape": shape[0] if len(shape) == 1 else shape}
        if order != "C" or copy is not None:
            params.update(order=order, copy=copy)
        return record(OPS[np.reshape], (self,), params)

    def transpose(self, *axes: Any) -> Any:
        """Give the node with its axes in another order, reversed without one."""
        order = axes[0] if len(axes) == 1 else axes or None
        return record(OPS[np.transpose], (self,), _no_params if order is None else {"axes": order})

    def flatten(self, order: str = "C") -> Any:
        """Give the elements along one axis."""
        return call(np.ravel, (self, order), _no_params)

    def compress(self, condition: Any, axis: int | None = None, out: Any = None) -> Any:
        """Give the elements, or what is along an axis, where a condition holds."""
        return call(np.compress, (condition, self, axis, out), _no_params)

    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: Any = "unsafe",
        subok: bool = True,
        *,
        copy: bool = True,
    ) -> Any:
        """Give the node in another floating or complex dtype, or plain values in others.

        A node's value does not change, so that `copy` makes no difference.
        """
        if casting != "unsafe":
            # NumPy refuses other dtypes.
            np.empty(0, self.dtype).astype(dtype, casting=casting)
        from tinygraph.rules import shape

        if np.dtype(dtype).kind not in "fc":
            tape = get_state().tape
            if tape is not None:
                return tape.record_plain(shape._astype, (self,), {"dtype": np.dtype(dtype)})
            read(self)
            return self._value.astype(dtype)
        return shape.astype(self, dtype=np.dtype(dtype))

    def copy(self, order: str = "C") -> Any:
        """Give another node of the same value."""
        from tinygraph.rules import shape

        return shape.identity(self)


_power = _binary(np.power)
_operands = frozenset({Node, ndarray, float, int})
_operand_types = (Node, ndarray, np.generic, int, float, complex, list, tuple)


_in_place = {
    "byteswap": "node.value.byteswap()",
    "fill": "np.full_like(node, value)",
    "partition": "np.partition(node, kth)",
    "put": "node.at[indices].set(values)",
    "resize": "np.resize(node, shape)",
    "setfield": "node.at[index].set(values)",
    "setflags": "node.value for a read-only array",
    "sort": "np.sort(node)",
}
"""What to write in place of the methods by which an ndarray changes itself."""


def _absent(name: str) -> property:
    def refuse(self: Node) -> NoReturn:
        message = f"'Node' object has no attribute {name!r}"
        if name in _in_place:
            message += f": values of Nodes are not changed in place; write {_in_place[name]}"
        else:
            message += f" in the graph; write node.value.{name}"
        raise AttributeError(message, name=name, obj=self)

    return property(refuse)


# A __getattr__ would make every other attribute slower.
for _name in dir(ndarray):
    if not _name.startswith("_") and not hasattr(Node, _name):
        setattr(Node, _name, _absent(_name))
