"""What a run will need and take on a cluster, before anybody rents it.

    shape      a model: layers, widths, vocabulary        catalogue/   clusters, models, software:
    cluster    devices and the links between them                      data files with sources
    strategy   layout, microbatches, recomputation
        │
        ├─ memory       bytes per device, by what they are for
        ├─ compute      seconds of a block's matrix products and of what memory traffic limits
        ├─ network      seconds of a collective: message bytes, participants, links
        └─ step         both put on a time line, block by block: what is hidden, what is exposed
              │
              ├─ search       the best layout, and why the others lose
              ├─ scaling      the same from one node to thousands
              └─ run          days, cost, energy, checkpoints, failures

Pure functions over frozen dataclasses; works without torch. What it cannot know (stragglers,
congestion, who else uses the network) is said in the documentation beside its measured errors.
"""
