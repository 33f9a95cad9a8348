"""What a model server and Octavo in front of it do on a GPU; see bench/gpu.py."""
