"""Ranks that watch one another: told the same, still alive, and if not, who is to blame.

agreement    before the start: recipes, versions, places, the run folder, clocks, time-outs
store        where ranks meet, and what to say when it is gone
heartbeat    signs of life with step and phase
failures     what a failed collective means, and which rank does not answer
"""
