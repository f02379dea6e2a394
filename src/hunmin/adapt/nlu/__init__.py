"""Natural language understanding: the intent of an utterance and its slots.

Utterances and scores
    annotations.py    `[slot : value]` text of the MASSIVE data set, read and written
    utterances.py     an utterance with its words, slots and intent
    tags.py           one tag a word (B-, I-, O) for slots, and slots for tags
    massive_files.py  a folder of LOCALE.jsonl files, read and written
    json_lines.py     a JSON object a line, or where it is none
    readers/          xSID, SLURP and NLU++, read as utterances
    scores.py         intent accuracy, slot F1 and exact match with intervals
    baselines.py      the most frequent intent, and a linear model of character n-grams
What training and every runtime share, without torch
    config.py         nlu.json: labels and shape of a model
    encode.py         texts to token ids, with the characters of each tag
    decode.py         logits to intent and slots with characters
    text_labels.py    labels written as text, and read back
The models
    body.py           the encoder of any transformers folder
    model.py          body and heads, and their folder
    crf.py            a linear chain over tags
    text_model.py     a model that writes labels
Training
    spec.py           the section `nlu`; presets.yaml has tuned settings
    data_set.py       what is learnt, chosen by and tested
    examples.py       utterances as rows of numbers
    fit.py            the loop
    joint_task.py     the loss of the heads
    teaching.py       a teacher's answers
    prepare.py        all that is needed before the first step
    results.py        fitted, tested, scored, and the files of a report
    finetune.py       from a body to a tested model
    text_to_text.py   the same for models that write labels
    predictions.py    predictions as JSON lines
    report.py, report_plot.py, score_table.py
"""
