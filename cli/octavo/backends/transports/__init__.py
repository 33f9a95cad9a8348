"""How requests reach a server, one client a file."""
