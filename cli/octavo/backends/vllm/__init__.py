"""The backend `vllm:`, a server that Octavo starts and stops, or one that runs already.

`backend` says what keys and plans need, `connection` reaches a server, `server` starts and stops
one, `server_log` reads what it writes, `model_files` finds its model, and `guard` is the script
that ends all its processes.
"""
