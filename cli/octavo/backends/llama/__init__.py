"""The backend `llama:`, a model on this machine.

`backend` says what keys and plans need, `client` answers calls, `process` starts and asks the
process that `worker` is, `model_file` finds a model's file, `weights` says which the default one is
and `download` fetches it.
"""
