"""What a run will need and take on a cluster, before anybody rents it.

    shape      a model: layers, widths, vocabulary        catalogue/   clusters, models, software:
    cluster    devices and the links between them                      data files with sources
    strategy   layout, microbatches, recomputation
    software   what a program does with them
        │
        ├─ memory/      bytes of a device, by what they are for
        ├─ speed/       seconds of a step: computing and sending on one time line
        └─ prediction   both of one strategy on one cluster
              │
              ├─ search/     the fastest strategy that fits, and why the others lose
              ├─ scaling     the same from one node to thousands, beside ZeRO-3
              ├─ run/        days, cost, energy, checkpoints, failures
              └─ plan        all of it for one request ── report/   tables, pictures, a recipe
    budget/    which model to train with so many device hours

Pure functions over frozen dataclasses; works without torch. What it cannot know (stragglers,
congestion, who else uses the network) is said in the documentation beside its measured errors.
"""
