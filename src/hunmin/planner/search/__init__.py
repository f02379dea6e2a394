"""The fastest strategy that fits, and why the others lose.

candidates ── fitting ── bounds ── search ── reasons
all of them   memory     no step   draws     what a loser waits for
│       is faster time lines
└─ infeasible: what would fit where nothing does
"""
