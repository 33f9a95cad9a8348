"""Pipelines as people write them: the spec, its reader, prompts, parameters and the registry."""
