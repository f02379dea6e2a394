"""The steps of a build, in the order that documents pass through them.

    read        sources                     -> shards of records
    judge       shard of records            -> shard of documents, rejects, keys
    duplicates  keys of all shards          -> which documents go, how many stand behind the others
    lines       shards, without duplicates  -> lines that stand in too many documents
    assemble    shard of documents          -> parts of train, validation, test and rejects

Text is only ever in one shard at a time; what all documents must know of each other are keys.
"""
