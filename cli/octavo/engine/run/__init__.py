"""Documents through a pipeline, from the opening of a job to its report."""
