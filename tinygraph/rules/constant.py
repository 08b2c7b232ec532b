"""The functions of NumPy that do not depend smoothly on values: of Nodes they give arrays."""

import numpy as np

from tinygraph.op import CONSTANT, OF_SHAPES

CONSTANT.update(
    {
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
        np.signbit,
        np.isclose,
        np.allclose,
        np.array_equal,
        np.array_equiv,
        np.iscomplex,
        np.isreal,
        np.all,
        np.any,
        np.argmax,
        np.argmin,
        np.nanargmax,
        np.nanargmin,
        np.argsort,
        np.argwhere,
        np.nonzero,
        np.flatnonzero,
        np.count_nonzero,
        np.array_repr,
        np.array_str,
        np.array2string,
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
        np.result_type,
        np.can_cast,
        np.min_scalar_type,
        np.common_type,
        np.shares_memory,
        np.may_share_memory,
        np.iscomplexobj,
        np.isrealobj,
    }
)
