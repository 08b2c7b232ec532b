"""Tests of pictures, and what reads the DOT text of one."""
