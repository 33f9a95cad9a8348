"""How requests reach a server: a module for each HTTP client, and `wire`, which they share."""
