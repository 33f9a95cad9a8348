"""Document formats: one file, or one package, for each loader of the registry."""
