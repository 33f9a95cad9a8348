"""The backend `vllm:`, a server that Octavo starts and stops, or one that runs already.

`backend` answers calls, `server` starts and stops a server, `server_log` reads what it writes,
`model_files` finds its model, and `guard` is the script that ends all its processes.
"""
