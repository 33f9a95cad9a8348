"""Ways to split a document: each module or package here is one chunker of the registry.

What several chunkers share is in `_support`.
"""
