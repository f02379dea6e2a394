"""Seconds of a training step, from devices, links and a strategy.

compute   one device's products, attention and passes over memory ─┐
network   a collective: messages of a ring, and bytes over a link ─┴─ costs ── timeline ── step
parts    in order    sums
"""
