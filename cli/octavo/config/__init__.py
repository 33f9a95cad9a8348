"""What the configuration says: profiles of models, default options, addresses and API keys.

Backends, the commands and the Python API read it; it imports none of them.
"""
