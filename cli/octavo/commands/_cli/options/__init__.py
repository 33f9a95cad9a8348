"""The options that several commands take, and the commands that are made of pipelines."""
