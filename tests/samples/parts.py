"""Ops that are tested with what uses them: functions with several results, and stop_gradient."""

JOINT = {"part", "stop_gradient"}
