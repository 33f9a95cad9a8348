"""The backend `llama:`, a model on this machine.

`backend` answers calls, `process` starts and asks the process that `worker` is, `model_file` finds
a model's file and `weights` fetches the default one.
"""
