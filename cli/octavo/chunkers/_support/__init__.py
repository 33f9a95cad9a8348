"""What several chunkers share.

`pieces`, `streaming` and `packing` make chunks of pieces of a text; `subdocuments` splits a part of
a document on its own; `sentence_splitters` finds sentences; `model_boundaries` and `model_listed`
serve chunkers that ask a model.
"""
