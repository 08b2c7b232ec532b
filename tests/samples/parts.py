"""What takes the results of an op apart is tested with the functions that have several."""

JOINT = {"part"}
