"""Asking, remembering, scheduling and accounting for calls.

The packages, from the lowest layer to the highest; each imports only those before it. `report` is
what a run tells its callers. `journal` stores replies, runs and the ledger. `dispatch` decides when
a call is sent, retried and paid for. `calls` makes an answer of one call and its second attempt.
`run` takes documents through a pipeline. `plan` runs the same code against predicted replies.
`splitting` splits and scores a document without a run.
"""
