"""Collectives of partition groups: in stages over nodes, measured, and with known volume.

volume.py        bytes on a node's link, exact formulas; no torch
groups.py        NodeGroups: the process groups of a partition group that spans nodes
primitives.py    the one place that calls torch's gather and scatter, under whichever name
stages.py        collectives one after another, in the background where asked
hierarchical.py  all-gather and reduce-scatter in two stages
flat.py          all-gather and reduce-scatter in one, measured
meter.py         calls, bytes, seconds and exposed seconds of a step
timing.py        what FSDP2 does not tell: when gathers are needed, how long all-reduces take
install.py       sets all this on the modules of a sharded model
"""
