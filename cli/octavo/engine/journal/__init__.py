"""What outlasts a run: replies, prompts, embeddings, token counts, and the ledger of every run."""
