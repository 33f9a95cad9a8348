"""The backend `openai:`, for any server that speaks OpenAI's chat completions.

`backend` says what keys and plans need, `client` sends, `dialect` writes requests, `replies` reads
answers, `server_error` reads errors and `error_mapping` decides what they mean.
"""
