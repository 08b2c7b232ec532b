"""From a graph to NumPy source: record, simplify, plan memory, emit."""
