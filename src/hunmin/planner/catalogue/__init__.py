"""Clusters, devices, links and models as data files with the source of every figure.

    devices.yaml ─┐   a100-80gb: memory, peak rates ... and two constants of the planner's model
    links.yaml ───┼─> clusters/p4d.yaml ─┐   find_cluster("p4d:64")            64 nodes
                  └─> your.yaml ─────────┴─> find_cluster("your.yaml:4@100Gbps")
    models.yaml ──┬─> find_model("gpt3-175b")
    presets ──────┤   find_model("hyperclova-82b"), find_model("13B")
    config.json ──┘   find_model("folder of a Hugging Face model")

An entry says `like: NAME` to take every key that it does not write itself. To add a cluster, add a
file to clusters/; a price is never in it, because prices change and are an input of a plan.
"""
