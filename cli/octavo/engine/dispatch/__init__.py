"""Sending calls: their order, concurrency, rate limits, retries, budget, and embeddings."""
