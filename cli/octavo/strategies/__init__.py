"""The steps of pipelines, one file each."""
