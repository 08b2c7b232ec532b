"""Every derivative rule, by the kind of function; importing a module registers its rules."""

from tinygraph.rules import (  # noqa: F401
    arithmetic,
    constant,
    elementwise,
    indexing,
    parts,
    products,
    reduction,
    selection,
    shape,
)
