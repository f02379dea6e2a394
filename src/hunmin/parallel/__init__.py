"""Training on many devices: who holds what, what is sent, and what happens when something fails.

    spec ─> layout ─> mesh        which rank holds which part (layout: plain arithmetic)
              │
              ├─ memory           the smallest partition group that fits
              ├─ tensor           matrices split between neighbours
              └─ sharding         partition groups and two-hop synchronisation, on FSDP2
                   ├─ collectives/    in stages over nodes, counted and timed
                   ├─ parts/          norms and matrices that ranks hold in parts
                   ├─ weights/        in and out, never whole on one host
                   └─ checkpoint/     saved by any number of ranks, loaded by any other
    world             the ranks
    watch/            told the same, still alive, and if not, who is to blame
    launch/           scripts and manifests for clusters

Nothing here knows a model family: blocks and losses come from `models`, the loop is in `training`.
"""
