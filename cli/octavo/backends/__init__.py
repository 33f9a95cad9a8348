"""What answers calls: a package for each backend, and `transports`, the clients that they share."""
