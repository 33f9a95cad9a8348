"""The steps of pipelines.

Each step is one file here, or one package whose main module is `step.py`. Its value `STEP`
describes it, and the registry names the module. `_support/` has what several steps share.
"""
