"""The functions of NumPy that do not depend smoothly on values, and those that write in place."""

import numpy as np

from tinygraph.op import CONSTANT, INSTEAD, OF_SHAPES

CONSTANT.update(
    {
        # Comparisons and tests of single numbers
        np.equal,
        np.not_equal,
        np.less,
        np.less_equal,
        np.greater,
        np.greater_equal,
        np.logical_and,
        np.logical_or,
        np.logical_xor,
        np.logical_not,
        np.isnan,
        np.isinf,
        np.isfinite,
        np.isnat,
        np.isposinf,
        np.isneginf,
        np.iscomplex,
        np.isreal,
        np.signbit,
        np.isclose,
        # Of whole arrays
        np.allclose,
        np.array_equal,
        np.array_equiv,
        np.all,
        np.any,
        np.count_nonzero,
        # Of integers
        np.bitwise_and,
        np.bitwise_or,
        np.bitwise_xor,
        np.bitwise_count,
        np.invert,
        np.left_shift,
        np.right_shift,
        np.gcd,
        np.lcm,
        np.packbits,
        np.unpackbits,
        # Places, orders and counts
        np.argmax,
        np.argmin,
        np.nanargmax,
        np.nanargmin,
        np.argsort,
        np.argpartition,
        np.lexsort,
        np.argwhere,
        np.nonzero,
        np.flatnonzero,
        np.searchsorted,
        np.digitize,
        np.histogram_bin_edges,
        np.ravel_multi_index,
        np.unravel_index,
        # Sets
        np.isin,
        # Memory
        np.shares_memory,
        np.may_share_memory,
        # Text, files and dates
        np.array_repr,
        np.array_str,
        np.array2string,
        np.save,
        np.savetxt,
        np.savez,
        np.savez_compressed,
        np.datetime_as_string,
        np.busday_count,
        np.busday_offset,
        np.is_busday,
    }
)

OF_SHAPES.update(
    {
        np.shape,
        np.ndim,
        np.size,
        np.zeros_like,
        np.ones_like,
        np.empty_like,
        np.diag_indices_from,
        np.tril_indices_from,
        np.triu_indices_from,
        np.result_type,
        np.can_cast,
        np.min_scalar_type,
        np.common_type,
        np.iscomplexobj,
        np.isrealobj,
    }
)

# NumPy 2.4 has it no more.
CONSTANT.update(getattr(np, name) for name in ("in1d",) if hasattr(np, name))

INSTEAD.update(
    {
        np.copyto: (
            "np.where(where, source, node), and np.broadcast_to(node, shape) for np.full_like"
        ),
        np.fill_diagonal: "node.at[np.diag_indices_from(node)].set(value)",
        np.place: "node.at[mask].set(values)",
        np.put: "np.ravel(node).at[indices].set(values).reshape(node.shape)",
        np.put_along_axis: "node.at[index].set(values)",
        np.putmask: "np.where(mask, values, node)",
    }
)
